"""Notes in brackets are not spoken."""

import pytest

from aligner.errors import AlignerError
from aligner.text.notes import hide, notes, speak, summary


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Well [laughter] I did.", ["[laughter]"]),
        ("He said <unk> to me <i>now</i>.", ["<unk>", "<i>", "</i>"]),
        ("{LG} yes {breath noise}", ["{LG}", "{breath noise}"]),
        ("*coughs* right *clears throat*", ["*coughs*", "*clears throat*"]),
        ("(laughter) so (Applause) (inaudible)", ["(laughter)", "(Applause)", "(inaudible)"]),
        ("好【笑】的（笑）", ["【笑】", "（笑）"]),
        ("Gothic (which was usual) and (music theory)", []),
        ("a < b and c > d, 2 * 3 * 4, **bold**, word*, <3", []),
        ("[not closed", []),
        ("a [b] c [d]", ["[b]", "[d]"]),
    ],
)
def test_notes_are_what_stands_in_their_brackets(text: str, found: list[str]) -> None:
    assert notes(text) == found


def test_notes_are_left_out_or_spoken_as_asked() -> None:
    assert hide("Well [laughter] I *do* **mean** it").split() == ["Well", "I", "mean", "it"]
    assert speak("Well [laughter] I <unk> *do*").split() == ["Well", "laughter", "I", "unk", "do"]


def test_a_pronunciation_in_braces_is_no_note() -> None:
    with pytest.raises(AlignerError, match="--lexicon"):
        notes("say {HH AH0 L OW1}")


def test_the_summary_counts_notes_and_utterances() -> None:
    assert summary(["a [b] [b]", "c", "<d> e"]) == "3 notes in 2 utterances: [b] 2, <d> 1"
    assert summary(["plain", "(round)"]) == ""
