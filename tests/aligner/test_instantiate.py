"""Objects from plain data: nested ones, and what is refused."""

import pytest

from aligner.errors import AlignerError
from aligner.frontends import Combine, Frontend
from aligner.instantiate import instantiate, public_path

MEL = {"class_path": "aligner.frontends.Mel", "init_args": {"preset": "vits"}}
ENERGY = {"class_path": "aligner.frontends.Energy"}


def combined(*parts):
    return {"class_path": "aligner.frontends.Combine", "init_args": {"frontends": list(parts)}}


def cached(part, folder):
    return {
        "class_path": "aligner.frontends.Cached",
        "init_args": {"frontend": part, "folder": str(folder)},
    }


def test_what_a_frontend_is_made_of_is_built_too(tmp_path):
    spec = combined(MEL, cached(combined(ENERGY), tmp_path))
    frontend = instantiate(spec, Frontend)
    assert isinstance(frontend, Combine)
    assert frontend.channels == 81
    again = instantiate(frontend.configuration(), Frontend)
    assert again.configuration() == frontend.configuration()
    assert spec == combined(MEL, cached(combined(ENERGY), tmp_path))


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"class_path": "subprocess.Popen", "init_args": {"args": "true"}}, "outside aligner"),
        ({"class_path": "aligner.encoders.GlowTTSEncoder"}, "is not a"),
        ({"class_path": "aligner.frontends.Mell"}, "cannot be imported"),
        ({**ENERGY, "init_args": {"hop": 3}}, "takes no hop"),
        ({**ENERGY, "init_args": {"hop_samples": 0}}, "hop_samples 0"),
        ({**ENERGY, "hop_samples": 3}, "stand under init_args"),
        ({**ENERGY, "init_args": {"hop_samples": 128}}, "different frames"),
        (3, "Combine: "),
        ("aligner.frontends.Mel", "Combine: "),
    ],
)
def test_a_part_is_refused_as_the_whole_would_be(part, message, tmp_path):
    for spec in (combined(MEL, part), combined(MEL, combined(part))):
        with pytest.raises(AlignerError, match=message):
            instantiate(spec, Frontend)


def test_defaults_are_written_out_in_every_part():
    full = instantiate(combined(MEL, ENERGY), Frontend).configuration()
    mel, energy = full["init_args"]["frontends"]
    assert mel["init_args"]["preset"] == "vits"
    assert mel["init_args"]["mels"] == 80  # of the preset
    assert energy["init_args"]["hop_samples"]
    assert instantiate(full, Frontend).configuration() == full


def test_public_paths_are_short():
    assert public_path(Combine) == "aligner.frontends.Combine"
    assert public_path(AlignerError) == "aligner.errors.AlignerError"
