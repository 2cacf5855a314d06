"""Three small CNNs on CIFAR-10 in Keras 3: what should come after the last convolution?"""

import os

from cifar_keras import terminal

# TensorFlow's C++ start-up notices would land in every notebook; warnings and errors still show.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")

# Without a home directory TensorFlow makes a folder "~" wherever it is started. Keras takes /tmp.
if os.path.expanduser("~") == "~":
    os.environ["HOME"] = "/tmp"

terminal.fall_back_to_ascii()

__version__ = "0.1.0"
