"""Texts as people write them, in words, in several languages."""

import time

import pytest

from aligner.errors import AlignerError
from aligner.text.lexicon import parse_lexicon
from aligner.text.normalise import Normaliser

READ = {
    "en-us": [
        ("An MP3 of 5kg.", "An MP three of five kilograms."),
        (
            "20°C, 3.5km/h, 8GB, 10 min, 1 m",
            "twenty degrees Celsius, three point five kilometers per hour, "
            "eight gigabytes, ten minutes, one meter",
        ),
        ("Room 3E40 is B2B.", "Room three E forty is B two B."),
        (
            "in 1984, 1905, 2019 and 1990-1995",
            "in nineteen eighty four, nineteen oh five, twenty nineteen and "
            "nineteen ninety - nineteen ninety five",
        ),
        ("the 1990s, the '80s, the 20s", "the nineteen nineties, the 'eighties, the twenties"),
        (
            "$5M or $3.5 million, £20, €3.50, 100 $",
            "five million dollars or three point five million dollars, "
            "twenty pounds, three euros fifty cents, one hundred dollars",
        ),
        ("$1, $0.50, 50% and 5 % of", "one dollar, fifty cents, fifty percent and five percent of"),
        ("1st, 22nd, 1/2, 2½, 3/4", "first, twenty second, one half, two and a half, three quarters"),
        ("24/7 and 9/11", "twenty four / seven and nine / eleven"),
        (
            "at 3:45 pm, 15:30, 3:05, 3 PM",
            "at three forty five p.m., fifteen thirty, three oh five, three p.m.",
        ),
        ("3/14/2024", "March fourteenth twenty twenty four"),
        ("2024-03-14, Jan. 5, May 3rd", "March fourteenth twenty twenty four, January fifth, May third"),
        ("555-123-4567", "five five five, one two three, four five six seven"),
        ("me@example.com", "me at example dot com"),
        ("see www.example.co.uk.", "see WWW dot example dot co dot UK."),
        ("No. 7 St. Paul, Main St. here", "Number seven Saint Paul, Main Street here"),
        ("No. I won't.", "No. I won't."),
        ("Dr. Smith, Mrs Brown, Smith Jr., etc.", "Doctor Smith, Missus Brown, Smith Junior, et cetera"),
        (
            "1,500 and 1,234,567.5",
            "one thousand five hundred and one million two hundred and thirty four "
            "thousand five hundred and sixty seven point five",
        ),
        ("1,2,3 go", "one, two, three go"),
        ("007", "zero zero seven"),
        ("May,1984 men,5 .5", "May, nineteen eighty four men, five point five"),
        ("-5, 5 + 3, Q&A, #7, C++", "minus five, five plus three, Q and A, number seven, C plus plus"),
        ("5'11\"", "five foot eleven"),
        ("20-year-old COVID-19", "twenty -year-old COVID- nineteen"),
        ("it is the end.Then he left", "it is the end.Then he left"),
    ],
    "de": [
        ("1,5 Mio. und 1.500", "eins Komma fünf Millionen und eintausendfünfhundert"),
        (
            "am 3. Mai 1984 um 15:30 Uhr",
            "am dritten Mai neunzehnhundertvierundachtzig um fünfzehn Uhr dreißig",
        ),
        (
            "3,50 €, 50 %, 20 °C, 1 km",
            "drei Euro fünfzig, fünfzig Prozent, zwanzig Grad Celsius, ein Kilometer",
        ),
        ("Nr. 7, Dr. Müller, z. B. so, usw.", "Nummer sieben, Doktor Müller, zum Beispiel so, und so weiter"),
        ("die 1990er", "die neunzehnhundertneunziger"),
        ("Version 2.0", "Version zwei Punkt null"),
    ],
    "fr": [
        ("1 500 euros, 3,50 €", "mille cinq cents euros, trois euros cinquante"),
        ("M. Dupont, Mme Curie, n° 7", "Monsieur Dupont, Madame Curie, numéro sept"),
        ("le 1er mai à 15h30", "le premier mai à quinze heures trente"),
        ("3,5 km/h", "trois virgule cinq kilomètres par heure"),
    ],
    "es": [
        ("Sr. López, 1 m, 21 kg", "Señor López, un metro, veintiún kilogramos"),
        ("el 14/03/2024, 5,50 €", "el catorce de marzo de dos mil veinticuatro, cinco euros cincuenta"),
        ("¿Qué?¡Hola!", "¿Qué?¡Hola!"),
    ],
    "cs": [("č. 7, 5 kg, např. 3,5", "číslo sedm, pět kilogramů, například tři celá pět")],
    "ru": [
        (
            "в 1984 году 5 кг, т.е. № 7",
            "в одна тысяча девятьсот восемьдесят четыре году пять килограмм, то есть номер семь",
        )
    ],
    "ar": [("في ١٩٨٤، نعم", "في ألف و تسعمائة و أربعة و ثمانون، نعم")],
    "hi": [
        ("नमस्ते दुनिया।", "नमस्ते दुनिया।"),
        ("१९८४ में 5 kg और 1,25,000 रुपये", "उन्नीस सौ चौरासी में पाँच किलोग्राम और एक लाख पच्चीस हज़ार रुपये"),
    ],
    "zh": [
        ("你好，世界。今天天气很好！", "你好,世界。今天天气很好!"),
        ("今天20度，1984年3月14日。", "今天 二十 度,一九八四年 三 月 十四 日。"),
        ("3.5公里，50%，10086", "三 点 五 公里,百分之五十, 一万零八十六"),
    ],
}


@pytest.fixture(scope="module")
def normalisers() -> dict[str, Normaliser]:
    return {language: Normaliser(language) for language in READ}


@pytest.mark.parametrize(("language", "text", "read"), [(of, *case) for of in READ for case in READ[of]])
def test_texts_are_written_out(
    normalisers: dict[str, Normaliser], language: str, text: str, read: str
) -> None:
    assert normalisers[language](text) == read


@pytest.mark.parametrize(
    ("language", "text", "message"),
    [
        ("en-us", "1,5 full", "one number or several"),
        ("en-us", "31/31/2024", "no date"),
        ("ru", "1990-х", "not read"),
        ("cs", "14.03.2024", "dates"),
        ("en-us", "...", "nothing to speak"),
        ("en-us", "[noise]", "only notes"),
        ("en-us", "\u200b", "U\\+200B ZERO WIDTH SPACE"),
    ],
)
def test_what_is_not_read_says_why(language: str, text: str, message: str) -> None:
    with pytest.raises(AlignerError, match=message):
        Normaliser(language)(text)


def test_words_of_the_own_lexicon_are_kept_as_written() -> None:
    kept = Normaliser("en-us", lexicon=parse_lexicon(["5kg\tf aɪ v", "C++\ts iː", "well-known\tw"]))
    assert kept("(5kg) of C++, well-known. 5 kg") == "(5kg) of C++, well-known. five kilograms"
    assert kept.words("(5kg), C++")[0] == ["5kg", "C++"]


def test_a_long_text_of_plain_words_costs_microseconds_a_word() -> None:
    normaliser = Normaliser("en-us")
    text = "and used as it was, the letter which was printed there is the best of all. " * 10
    normaliser.words(text)
    start = time.perf_counter()
    for _ in range(20):
        normaliser.words(text)
    assert (time.perf_counter() - start) / (20 * 160) < 1e-4  # measured: 6e-6


@pytest.mark.parametrize("text", ["дома и т.д.", "дома и т. д.", "дома и  т.д.", "дома И Т.Д."])
def test_an_abbreviation_of_several_words_is_read_however_it_is_spaced(text: str) -> None:
    assert Normaliser("ru")(text).lower().split() == ["дома", "и", "так", "далее"]


@pytest.mark.parametrize(
    ("language", "text", "read"),
    [
        ("en-us", "10⁶ and 10⁻³", "ten to the six and ten to the minus three"),
        ("en-us", "10² by 2³", "ten squared by two cubed"),
        ("en-us", "5 m² by 5 m³", "five square meters by five cubic meters"),
        ("en-us", "1.5e-3", "one point five times ten to the minus three"),
        ("en-us", "1e+9", "one times ten to the nine"),
        ("en-us", "CO₂", "CO two"),
        ("en-us", "he is 5′10″", "he is five foot ten"),
        ("de", "10⁶", "zehn hoch sechs"),
        ("fr", "10²", "dix au carré"),
        ("es", "10⁶", "diez elevado a seis"),
    ],
)
def test_powers_are_no_digits_of_the_number_before(language: str, text: str, read: str) -> None:
    assert " ".join(Normaliser(language)(text).split()) == read


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("pl", "10⁶"),
        ("ru", "1.5e-3"),
        ("ru", "1e-3"),
        ("en-us", "a note¹ here"),
        ("en-us", "r⁴"),
        ("en-us", 'a 5" screen'),
        ("en-us", "a 5″ screen"),
        ("de", '5" breit'),
        ("ru", "в 1999 г."),
        ("ru", "1999 г. Москва"),
        ("ru", "в 19 в."),
    ],
)
def test_figures_that_cannot_be_read_rightly_are_refused(language: str, text: str) -> None:
    with pytest.raises(AlignerError, match="write it out in words"):
        Normaliser(language).words(text)


def test_a_number_at_the_end_of_a_quotation_is_no_inches() -> None:
    assert Normaliser("en-us").words('He said "I am 5" and left.')[0][4] == "five"


@pytest.mark.parametrize(
    ("language", "text", "read"),
    [
        ("pt-br", "R$ 5,00", "cinco reais"),
        ("pt", "5 €", "cinco euros"),
        ("pl", "5 zł", "pięć złotych"),
        ("pl", "2 $", "dwa dolary"),
        ("cs", "5 Kč", "pět korun"),
        ("cs", "5 USD", "pět amerických dolarů"),
        ("sv", "2 $", "två dollar"),
        ("en-us", "¥500 and 5 CHF", "five hundred yen and five Swiss francs"),
        ("de", "5 zł und 5 USD", "fünf Złoty und fünf US-Dollar"),
        ("hu", "5 zł", "öt zloty"),
        ("de", "2,5 Mio. €", "zwei Komma fünf Millionen Euro"),
        ("de", "3 Mrd. EUR", "drei Milliarden Euro"),
        ("en-us", "US$5 and $5", "five US dollars and five dollars"),
    ],
)
def test_currencies_are_named_as_they_are_said(language: str, text: str, read: str) -> None:
    assert " ".join(Normaliser(language)(text).split()) == read


@pytest.mark.parametrize(
    ("language", "text", "read"),
    [
        ("pt", "1ª e 1º", "primeira e primeiro"),
        ("es", "la 3.ª planta, 21ª, 1.er", "la tercera planta, vigésima primera, primer"),
        ("it", "1ª", "prima"),
    ],
)
def test_ordinals_have_the_gender_of_their_mark(language: str, text: str, read: str) -> None:
    assert " ".join(Normaliser(language)(text).replace(" ,", ",").split()) == read


@pytest.mark.parametrize(
    ("language", "text", "read"),
    [
        ("el", "κάνει 5 € σήμερα", "κάνει 5 ευρώ σήμερα"),
        ("el", "50 % και 5 km", "50 τοις εκατό και 5 χιλιόμετρα"),
        ("hr", "2,50 €", "2,50 eura"),
        ("hr", "$5", "5 dolara"),
        ("et", "5 €", "5 eurot"),
    ],
)
def test_what_is_counted_is_named_also_where_the_numbers_are_read_by_others(
    language: str, text: str, read: str
) -> None:
    assert " ".join(Normaliser(language)(text).split()) == read


@pytest.mark.parametrize(
    ("language", "text", "read"),
    [
        ("en-us", "5 ft. 3 in. tall", "five feet three inches tall"),
        ("en-us", "6 ft. tall", "six feet tall"),
        ("en-us", "at Ft. Worth", "at Fort Worth"),
        ("de", "ca. 5 Std. lang", "circa fünf Stunden lang"),
        ("de", "in der Bahnhofstr. 12", "in der Bahnhofstraße zwölf"),
        ("pl", "ul. Długa 5", "ulica Długa pięć"),
        ("en-us", "2.5M fans w/ and w/o hats", "two point five million fans with and without hats"),
        ("de", "1 Std. und 1 Min.", "eine Stunde und eine Minute"),
        ("ru", "5 руб.", "пять рублей"),
        ("cs", "2 Kč", "dvě koruny"),
        ("cs", "2,50 Kč", "dvě koruny padesát"),
        ("cs", "1 km a 2 km", "jeden kilometr a dva kilometry"),
        ("pt", "2 £", "duas libras"),
        ("pt", "2 kg", "dois quilogramas"),
        ("es", "21 £", "veintiuna libras"),
        ("fr", "1 lb", "une livre"),
        ("ru", "2 min", "две минуты"),
        ("pl", "5 zł 50", "pięć złotych pięćdziesiąt"),
        ("pl", "2,50 zł", "dwa złote pięćdziesiąt"),
    ],
)
def test_what_is_counted_has_its_number_and_gender(language: str, text: str, read: str) -> None:
    assert " ".join(Normaliser(language)(text).split()).rstrip(".") == read
