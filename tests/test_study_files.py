"""Whether a study's file that is wrong is told in one line, before anything is trained."""

import pytest

from cifar_keras import study, verification
from cifar_keras.errors import UserError

GOOD = """
data = "sample"
seeds = [0, 4294967295]
keep_weights = [0]
mixed_precision = false

[recipe]
epochs = 2

[variants]
fully_connected = {}
other = { model = "average_pooling", classifier = false, recipe = { mirror = true } }
"""


@pytest.fixture
def write(tmp_path, monkeypatch):
    """A function that writes `studies/NAME.toml`."""
    monkeypatch.setattr(study, "STUDIES", tmp_path)

    def write(text, name="mine"):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")

    return write


def test_what_has_a_default_may_be_left_out(write):
    write('data = "sample"\n')
    least = study.load("mine")
    assert least == study.Study(least.folder, "sample")
    write(GOOD)
    assert study.load("mine").seeds == (0, 2**32 - 1)
    assert study.load("mine").recipe_of("other").mirror


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        # the study's own values
        ('data = "sample"', "", "data is missing; give one of sample, full, held-out"),
        ('"sample"', '"all"', "data is 'all'; give one of"),
        ('"sample"', "3", "data is 3; give one of"),
        ("[0, 4294967295]", "[0, 4294967296]", "give different whole numbers from 0 to 2**32 - 1"),
        ("[0, 4294967295]", "[-1]", "seeds is (-1,); give"),
        ("[0, 4294967295]", "[1, 1]", "seeds is (1, 1); give"),
        ("[0, 4294967295]", "[true]", "seeds is (True,); give"),
        ("[0, 4294967295]", '"0"', "seeds is '0'; give"),
        ("[0, 4294967295]", "0", "seeds is 0; give"),
        ("keep_weights = [0]", "keep_weights = [0.5]", "keep_weights is (0.5,); give"),
        ("= false\n\n", '= "no"\n\n', "mixed_precision is 'no'; give true or false"),
        ("mixed_precision", "mixed", "there is no 'mixed' in a study"),
        ("data =", "folder = 'x'\ndata =", "there is no 'folder' in a study"),
        # recipes
        ("epochs = 2", "epoch = 2", "there is no 'epoch' in a recipe; choose from: epochs, "),
        ("epochs = 2", "epochs = 0", "epochs is 0; give a whole number from 1"),
        ("epochs = 2", "epochs = 2.5", "epochs is 2.5; give a whole number from 1"),
        ("epochs = 2", 'epochs = "2"', "epochs is '2'; give a whole number from 1"),
        ("epochs = 2", "epochs = true", "epochs is True; give a whole number from 1"),
        ("epochs = 2", "batch_size = -64", "batch_size is -64; give a whole number from 1"),
        ("epochs = 2", "learning_rate = -0.1", "learning_rate is -0.1; give a number from 0"),
        ("epochs = 2", "learning_rate = nan", "learning_rate is nan; give a number from 0"),
        ("epochs = 2", "weight_decay = inf", "weight_decay is inf; give a number from 0"),
        ("epochs = 2", "label_smoothing = 2", "label_smoothing is 2; give a share from 0"),
        ("epochs = 2", "momentum = 1", "momentum is 1; give a share from 0"),
        ("epochs = 2", "warmup = 1.0", "warmup is 1.0; give a share from 0"),
        ("epochs = 2", 'mirror = "no"', "mirror is 'no'; give true or false"),
        ("epochs = 2", "test_once = 1", "test_once is 1; give true or false"),
        ("epochs = 2", "translation = 32", "translation is 32; give a whole number of pixels"),
        ("epochs = 2", 'initialization = "he"', "initialization is 'he'; give one of pytorch"),
        ("epochs = 2", "initialization = []", "initialization is []; give one of pytorch"),
        ("epochs = 2", 'normalization = "z"', "normalization is 'z'; give one of symmetric"),
        ("epochs = 2", "kernel_rate = 0.1", "kernel_rate needs SGD"),
        ("[recipe]\nepochs = 2", "recipe = 3", "recipe is 3; give a table"),
        # variants
        ("fully_connected = {}", "fully = {}", "there is no model 'fully'; choose one of"),
        ("fully_connected = {}", "fully_connected = 1", "give a table for each"),
        ("fully_connected = {}", '"../x" = {}', "name is '../x'; give lower-case letters"),
        ("fully_connected = {}", "'' = {}", "name is ''; give lower-case letters"),
        ("classifier = false", "clasifier = false", "no argument 'clasifier'; choose from"),
        ("classifier = false", 'classifier = "no"', "classifier is 'no': give True or False"),
        ("classifier = false", 'num_classes = "10"', "num_classes is '10': give a whole number"),
        ("classifier = false", "input_shape = 32", "input_shape is 32: give (height, width"),
        ('model = "average_pooling"', "model = 3", "there is no model 3"),
        ('model = "average_pooling"', "model = []", "there is no model []"),
        ("classifier = false", 'initialization = "keras"', "initialization belongs to the recipe"),
        ("mirror = true", "mirror = 1", "variant other: mirror is 1; give true or false"),
        ("{ mirror = true }", "7", "variant other: recipe is 7; give a table"),
        # the file
        ("data =", "data", "mine.toml does not describe a study"),
        ("data =", "base = 'nobody'\ndata =", "base is 'nobody'; give another study's name"),
        ("data =", "base = 'mine'\ndata =", "base is 'mine'; give another study's name"),
        ("data =", "base = 1\ndata =", "base is 1; give another study's name"),
    ],
)
def test_a_wrong_file_is_one_line(write, old, new, named):
    assert old in GOOD
    write(GOOD.replace(old, new, 1))
    with pytest.raises(UserError) as caught:
        study.load("mine")
    assert named in str(caught.value)
    assert "mine.toml does not describe a study" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_study_takes_from_its_base_what_it_does_not_say(write):
    write(GOOD, "under")
    write('base = "under"\nseeds = [5]\n[recipe]\nbatch_size = 8\n[variants.average_pooling]\n')
    both, under = study.load("mine"), study.load("under")
    assert both.seeds == (5,) and both.folder.name == "mine"
    assert both.recipe.epochs == 2 and both.recipe.batch_size == 8
    assert both.variants == under.variants | {"average_pooling": {}}
    assert under.recipe.batch_size == 64


@pytest.mark.parametrize("name", study.names())
def test_shipped_records_are_what_their_files_say(name):
    """The part of `verify` that needs no images; it reads every file of every run."""
    told = list(verification.verify(study.load(name), measure=False))
    assert [line for as_recorded, line in told if not as_recorded] == []
    assert sum(" verified, " in line for _, line in told) >= 2
