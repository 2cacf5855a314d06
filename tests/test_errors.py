"""What a reader sees of an error that is meant for him."""

from IPython.core.interactiveshell import InteractiveShell


def test_a_notebook_shows_one_line(capsys):
    InteractiveShell().run_cell(
        "from cifar_keras.errors import UserError\nraise UserError('no; do this') from OSError()"
    )
    assert capsys.readouterr().out.strip() == "error: no; do this"
