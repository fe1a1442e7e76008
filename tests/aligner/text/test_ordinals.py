"""Ordinals with a full stop: read, refused, and no ordinals at the end of a sentence."""

import pytest

from aligner.errors import AlignerError
from aligner.text.normalise import Normaliser


@pytest.mark.parametrize(
    ("language", "text", "read"),
    [
        ("de", "in der 3. Etage", "in der dritten Etage"),
        ("de", "der 2. Weltkrieg", "der zweite Weltkrieg"),
        ("de", "der 1. und 2. Weltkrieg", "der erste und zweite Weltkrieg"),
        ("de", "2. und 3.", "zweiter und dritter"),
        ("de", "zum 2. Mal", "zum zweiten Mal"),
        ("de", "jeder 3. Deutsche", "jeder dritte Deutsche"),
        ("de", "Am 3.10. war es", "Am dritten zehnten war es"),
        ("de", "vom 3. 10. an", "vom dritten zehnten an"),
        ("de", "Er ist der 1.", "Er ist der erste"),
        ("de", "eine 2. Frau", "eine zweite Frau"),
        ("de", "am 3. Mai", "am dritten Mai"),
        ("de", "im 19. Jahrhundert", "im neunzehnten Jahrhundert"),
        ("cs", "Dne 3. května", "Dne třetího května"),
        ("cs", "21. prosince", "dvacátého prvního prosince"),
        ("hu", "2020. január, a 3. fejezet", "kétezer-húsz január, a harmadik fejezet"),
        ("da", "den 3. maj", "den tredje maj"),
    ],
)
def test_ordinals_within_a_sentence_are_read(language: str, text: str, read: str) -> None:
    assert " ".join(Normaliser(language)(text).split()) == read


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("Kapitel 3.", "Kapitel drei."),
        ("Kapitel 3. Der Mann", "Kapitel drei. Der Mann"),
        ("Es sind 5. Das ist gut", "Es sind fünf. Das ist gut"),
        ("Ich wurde 2.", "Ich wurde zwei."),
    ],
)
def test_a_number_at_the_end_of_a_sentence_is_no_ordinal(text: str, read: str) -> None:
    assert Normaliser("de")(text) == read


@pytest.mark.parametrize(
    ("language", "text"),
    [
        *(("de", "mein 1. Auto"), ("de", "ein 2. Kind"), ("cs", "3. místo"), ("cs", "35. května")),
        *(("de", "Sie kam als 2. ins Ziel"), ("cs", "31. 12. 2020"), ("cs", "dne 3. 5.")),
        *(("pl", "3. miejsce"), ("fi", "3. toukokuuta")),
    ],
)
def test_an_ordinal_whose_ending_is_not_known_is_refused(language: str, text: str) -> None:
    with pytest.raises(AlignerError, match="write .* in words"):
        Normaliser(language)(text)
