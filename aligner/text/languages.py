"""What languages call the signs of writing, and how they abbreviate: one table a language.

Numbers are num2words's, names of units, currencies and months Babel's; here is what neither has.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Language:
    """How a language reads what is not written as words.

    Args:
        point: The mark between a number and its decimals, as said.
        minus: Said before a negative number.
        signs: What single signs are called.
        before_names: Abbreviations and titles, in lower case without their full stop, and what they are read
            as where a capital letter follows.
        before_numbers: The same where a number follows.
        anywhere: The same anywhere; these need their full stop.
        after_names: The same after a word with a capital letter.
        word_ends: The ends of words in the same way.
        magnitudes: What stands for a power of ten between an amount and its currency.
        fractions: The few that have a name of their own.
        initials: Abbreviations of letters that may be said in full instead, without the last full stop.
        letters: The names of letters, where a lexicon of words may lack them.
        before_units: What "one" becomes before a noun, by its usual last word.
        before_feminine: What "one" and "two" become before a feminine noun, in the same way.
        feminine: A regular expression of the beginnings of feminine names of units and currencies, in small
            letters.
        ordinal: The writing of an ordinal after its digits, as a regular expression; "" if it has none.
        power: Said between a number and its power ("10⁶").
        powers: Said after a number for powers with a name of their own.
        year_first: The first of the four-digit numbers that are read as years; 0 if years have no reading of
            their own.
    """

    point: str
    minus: str
    signs: dict[str, str]
    before_names: dict[str, str] = field(default_factory=dict)
    before_numbers: dict[str, str] = field(default_factory=dict)
    anywhere: dict[str, str] = field(default_factory=dict)
    after_names: dict[str, str] = field(default_factory=dict)
    word_ends: dict[str, str] = field(default_factory=dict)
    magnitudes: dict[str, str] = field(default_factory=dict)
    fractions: dict[str, str] = field(default_factory=dict)
    initials: dict[str, str] = field(default_factory=dict)
    letters: dict[str, str] = field(default_factory=dict)
    before_units: dict[str, str] = field(default_factory=dict)
    before_feminine: dict[str, str] = field(default_factory=dict)
    feminine: str = ""
    ordinal: str = ""
    power: str = ""
    powers: dict[str, str] = field(default_factory=dict)
    year_first: int = 0


def _pairs(text: str) -> dict[str, str]:
    """A table written as `short=long, short=long`."""
    return dict(pair.strip().split("=") for pair in text.split(",") if pair.strip())


def _signs(text: str) -> dict[str, str]:
    """The names of `& + × ÷ @ / . # § = _ -`, as many as are given, in this order."""
    return dict(zip("&+×÷@/.#§=_-", map(str.strip, text.split(",")), strict=False))


def _letters(names: str, alphabet: str = "abcdefghijklmnopqrstuvwxyz") -> dict[str, str]:
    """The names of the letters, in their order; `_` stands for a space."""
    return {letter: name.replace("_", " ") for letter, name in zip(alphabet, names.split(), strict=True)}


LANGUAGES = {
    "en": Language(
        "point",
        "minus",
        _signs("and, plus, times, divided by, at, slash, dot, number, section, equals, underscore, dash"),
        before_names=_pairs(
            "mr=mister, mrs=missus, ms=miz, dr=doctor, drs=doctors, prof=professor, st=saint, ste=saint, "
            "mt=mount, ft=fort, gen=general, col=colonel, capt=captain, lt=lieutenant, sgt=sergeant, "
            "maj=major, cpl=corporal, adm=admiral, rev=reverend, hon=honorable, gov=governor, sen=senator, "
            "rep=representative, pres=president, fr=father"
        ),
        before_numbers=_pairs(
            "no=number, nos=numbers, nr=number, n°=number, "
            "vol=volume, vols=volumes, fig=figure, figs=figures, "
            "ch=chapter, p=page, pp=pages, pg=page, sec=section, art=article, ed=edition, jan=january, "
            "feb=february, mar=march, apr=april, jun=june, jul=july, aug=august, sep=september, "
            "sept=september, oct=october, nov=november, dec=december"
        ),
        anywhere=_pairs(
            "jr=junior, sr=senior, etc=et cetera, vs=versus, approx=approximately, dept=department, "
            "est=established, co=company, corp=corporation, inc=incorporated, ltd=limited, bros=brothers, "
            "ave=avenue, blvd=boulevard, hwy=highway, mr=mister, mrs=missus, dr=doctor, prof=professor, "
            "jan=january, feb=february, apr=april, aug=august, sept=september, oct=october, nov=november, "
            "dec=december, govt=government, assn=association, intl=international"
        ),
        after_names=_pairs("st=street, rd=road, ln=lane, sq=square, pl=place, mt=mountain, dr=drive"),
        magnitudes=_pairs(
            "k=thousand, m=million, mn=million, b=billion, bn=billion, t=trillion, tn=trillion, "
            "thousand=thousand, million=million, billion=billion, trillion=trillion"
        ),
        initials=_pairs("e.g=for example, i.e=that is"),
        fractions=_pairs("1/2=one half, 1/4=one quarter, 3/4=three quarters"),
        ordinal="(?:st|nd|rd|th|ST|ND|RD|TH)",
        power="to the",
        powers=_pairs("2=squared, 3=cubed"),
        year_first=1100,
    ),
    "de": Language(
        "Komma",
        "minus",
        _signs(
            "und, plus, mal, geteilt durch, at, Schrägstrich, Punkt, Nummer, Paragraph, gleich, Unterstrich"
        ),
        before_names=_pairs(
            "hr=Herr, fr=Frau, frl=Fräulein, dr=Doktor, prof=Professor, st=Sankt, hl=heilige"
        ),
        before_numbers=_pairs(
            "nr=Nummer, bd=Band, kap=Kapitel, s=Seite, abb=Abbildung, art=Artikel, tel=Telefon"
        ),
        anywhere=_pairs(
            "usw=und so weiter, bzw=beziehungsweise, ca=circa, evtl=eventuell, ggf=gegebenenfalls, "
            "inkl=inklusive, z.b=zum Beispiel, d.h=das heißt, u.a=unter anderem, o.ä=oder ähnliche, "
            "z.t=zum Teil, mio=Millionen, mrd=Milliarden, etc=et cetera, vgl=vergleiche, dr=Doktor, "
            "nr=Nummer, "
            "sog=sogenannte, str=Straße, tel=Telefon"
        ),
        magnitudes=_pairs(
            "mio=Millionen, mrd=Milliarden, million=Million, millionen=Millionen, milliarde=Milliarde, "
            "milliarden=Milliarden, tsd=tausend"
        ),
        before_feminine=_pairs("eins=eine"),
        feminine=r"\w+e\b",
        word_ends=_pairs("str=straße"),
        fractions=_pairs(
            "1/2=ein halb, 1/4=ein Viertel, 3/4=drei Viertel, 1/3=ein Drittel, 2/3=zwei Drittel"
        ),
        before_units=_pairs("eins=ein"),
        power="hoch",
        year_first=1100,
        letters=_letters(
            "a be ze de e eff ge ha ih jott ka ell emm enn oh pe kuh err ess te u vau we iks ypsilon zett"
        ),
    ),
    "fr": Language(
        "virgule",
        "moins",
        _signs(
            "et, plus, fois, divisé par, arobase, barre oblique, point, numéro, paragraphe, égale, tiret bas"
        ),
        before_names=_pairs(
            "m=monsieur, mm=messieurs, mme=madame, mmes=mesdames, mlle=mademoiselle, dr=docteur, "
            "pr=professeur, st=saint, ste=sainte, mgr=monseigneur"
        ),
        before_numbers=_pairs(
            "n°=numéro, no=numéro, p=page, pp=pages, chap=chapitre, art=article, vol=volume, fig=figure"
        ),
        anywhere=_pairs(
            "etc=et cetera, env=environ, av=avenue, bd=boulevard, p.ex=par exemple, c.-à-d=c'est-à-dire"
        ),
        magnitudes=_pairs(
            "m=millions de, md=milliards de, mrd=milliards de, k=mille, million=million de, "
            "millions=millions de, milliard=milliard de, milliards=milliards de"
        ),
        before_feminine=_pairs("un=une"),
        feminine=r"(?:heure|minute|seconde|tonne|livre|once|couronne|roupie|hryvnia)\b",
        fractions=_pairs("1/2=un demi, 1/4=un quart, 3/4=trois quarts, 1/3=un tiers, 2/3=deux tiers"),
        ordinal="(?:er|ère|re|e|ème|eme|nd|nde)",
        power="puissance",
        powers=_pairs("2=au carré, 3=au cube"),
    ),
    "es": Language(
        "coma",
        "menos",
        _signs("y, más, por, dividido por, arroba, barra, punto, número, sección, igual a, guion bajo"),
        before_names=_pairs(
            "sr=señor, sra=señora, srta=señorita, sres=señores, dr=doctor, dra=doctora, d=don, dña=doña, "
            "prof=profesor, sto=santo, sta=santa, ing=ingeniero, lic=licenciado"
        ),
        before_numbers=_pairs(
            "n.º=número, nº=número, n°=número, núm=número, no=número, pág=página, p=página, págs=páginas, "
            "cap=capítulo, art=artículo, vol=volumen"
        ),
        anywhere=_pairs(
            "etc=etcétera, ud=usted, uds=ustedes, vd=usted, p.ej=por ejemplo, av=avenida, avda=avenida, "
            "ee.uu=Estados Unidos, a.c=antes de Cristo, d.c=después de Cristo"
        ),
        magnitudes=_pairs("m=millones de, mill=millones de, millón=millón de, millones=millones de"),
        before_feminine=_pairs("uno=una, veintiuno=veintiuna"),
        feminine=r"\w+a\b",
        fractions=_pairs("1/2=un medio, 1/4=un cuarto, 3/4=tres cuartos, 1/3=un tercio, 2/3=dos tercios"),
        before_units=_pairs("uno=un, veintiuno=veintiún"),
        power="elevado a",
        powers=_pairs("2=al cuadrado, 3=al cubo"),
        ordinal="(?:\\.?[ºª°]|\\.?er|ro|ra|do|da|to|ta|mo|ma|vo|va|no|na)",
        letters=_letters(
            "a be ce de e efe ge hache i jota ka ele eme ene o pe cu erre ese te u uve "
            "uve_doble equis i_griega zeta"
        ),
    ),
    "it": Language(
        "virgola",
        "meno",
        _signs("e, più, per, diviso, chiocciola, barra, punto, numero, paragrafo, uguale"),
        before_names=_pairs(
            "sig=signor, sig.ra=signora, dott=dottor, dr=dottor, prof=professor, ing=ingegner, "
            "avv=avvocato, s=san"
        ),
        before_numbers=_pairs("n=numero, n°=numero, nr=numero, pag=pagina, cap=capitolo, art=articolo"),
        anywhere=_pairs("ecc=eccetera"),
        before_feminine=_pairs("uno=una"),
        feminine=r"\w+a\b",
        fractions=_pairs("1/2=un mezzo, 1/4=un quarto, 3/4=tre quarti"),
        before_units=_pairs("uno=un"),
        ordinal="[ºª°]",
        letters=_letters(
            "a bi ci di e effe gi acca i i_lunga cappa elle emme enne o pi cu erre esse ti u vu "
            "doppia_vu ics ipsilon zeta"
        ),
    ),
    "pt": Language(
        "vírgula",
        "menos",
        _signs("e, mais, vezes, dividido por, arroba, barra, ponto, número, parágrafo, igual a"),
        before_names=_pairs("sr=senhor, sra=senhora, dr=doutor, dra=doutora, prof=professor, eng=engenheiro"),
        before_numbers=_pairs("n.º=número, nº=número, n°=número, pág=página, cap=capítulo, art=artigo"),
        anywhere=_pairs("etc=et cetera, av=avenida"),
        before_feminine=_pairs("um=uma, dois=duas"),
        feminine=r"\w+a\b(?<!grama)",
        fractions=_pairs("1/2=um meio, 1/4=um quarto, 3/4=três quartos"),
        ordinal="\\.?[ºª°]",
        power="elevado a",
        powers=_pairs("2=ao quadrado, 3=ao cubo"),
        letters=_letters(
            "á bê cê dê é efe gê agá i jota cá ele eme ene ó pê quê erre esse tê u vê dáblio xis ípsilon zê"
        ),
    ),
    "nl": Language(
        "komma",
        "min",
        _signs(
            "en, plus, maal, gedeeld door, apenstaartje, schuine streep, punt, nummer, "
            "paragraaf, is gelijk aan"
        ),
        before_names=_pairs("dhr=de heer, mevr=mevrouw, mw=mevrouw, dr=dokter, prof=professor, st=sint"),
        before_numbers=_pairs("nr=nummer, blz=bladzijde, hfst=hoofdstuk, art=artikel"),
        anywhere=_pairs("enz=enzovoort, bijv=bijvoorbeeld, d.w.z=dat wil zeggen, ca=circa, o.a=onder andere"),
        fractions=_pairs("1/2=een half, 1/4=een kwart, 3/4=drie kwart"),
        ordinal="(?:e|de|ste)",
        power="tot de macht",
        letters=_letters(
            "aa bee cee dee ee ef gee haa ie jee kaa el em en oo pee kuu er es tee uu vee wee iks ij zet"
        ),
    ),
    "sv": Language(
        "komma",
        "minus",
        _signs("och, plus, gånger, delat med, snabel-a, snedstreck, punkt, nummer, paragraf, är lika med"),
        before_names=_pairs("dr=doktor, prof=professor, st=sankt"),
        before_numbers=_pairs("nr=nummer, kap=kapitel, sid=sidan"),
        anywhere=_pairs(
            "osv=och så vidare, t.ex=till exempel, bl.a=bland annat, ca=cirka, d.v.s=det vill säga"
        ),
        fractions=_pairs("1/2=en halv, 1/4=en fjärdedel, 3/4=tre fjärdedelar"),
        ordinal=":[ae]",
        letters=_letters(
            "a be ce de e eff ge hå i ji kå ell emm enn o pe ku err ess te u ve dubbelve eks y säta"
        ),
    ),
    "cs": Language(
        "celá",
        "minus",
        _signs("a, plus, krát, děleno, zavináč, lomítko, tečka, číslo, paragraf, rovná se"),
        before_names=_pairs("p=pan, pí=paní, dr=doktor, prof=profesor, ing=inženýr, sv=svatý, doc=docent"),
        before_numbers=_pairs("č=číslo, str=strana, kap=kapitola, obr=obrázek, čl=článek"),
        anywhere=_pairs(
            "např=například, tzn=to znamená, atd=a tak dále, apod=a podobně, tzv=takzvaný, "
            "tj=to jest, cca=cirka, resp=respektive, mj=mimo jiné"
        ),
        magnitudes=_pairs(
            "tis=tisíc, mil=milionů, mld=miliard, milion=milion, milionů=milionů, miliard=miliard"
        ),
        before_units=_pairs("jedna=jeden"),
        before_feminine=_pairs("dva=dvě"),
        feminine=r"(?:\w+á )?\w+a\b",
        fractions=_pairs("1/2=jedna polovina, 1/4=jedna čtvrtina, 3/4=tři čtvrtiny"),
        letters=_letters(
            "á bé cé dé é ef gé há í jé ká el em en ó pé kvé er es té ú vé dvojité_vé iks ypsilon zet"
        ),
    ),
    "pl": Language(
        "przecinek",
        "minus",
        _signs("i, plus, razy, podzielone przez, małpa, ukośnik, kropka, numer, paragraf, równa się"),
        before_names=_pairs(
            "p=pan, dr=doktor, prof=profesor, św=święty, inż=inżynier, mgr=magister, ks=ksiądz, ul=ulica, "
            "al=aleja, pl=plac"
        ),
        before_numbers=_pairs("nr=numer, str=strona, rozdz=rozdział, art=artykuł, ul=ulica"),
        anywhere=_pairs(
            "np=na przykład, itd=i tak dalej, itp=i tym podobne, tzn=to znaczy, tzw=tak zwany, "
            "m.in=między innymi, ok=około"
        ),
        before_feminine=_pairs("jeden=jedna, dwa=dwie"),
        feminine=r"\w+a\b",
        fractions=_pairs("1/2=jedna druga, 1/4=jedna czwarta, 3/4=trzy czwarte"),
        letters=_letters("a be ce de e ef gie ha i jot ka el em en o pe ku er es te u fau wu iks igrek zet"),
    ),
    "ru": Language(
        "запятая",
        "минус",
        _signs("и, плюс, умножить на, разделить на, собака, косая черта, точка, номер, параграф, равно"),
        before_names=_pairs(
            "г=господин, г-н=господин, г-жа=госпожа, д-р=доктор, проф=профессор, св=святой, "
            "акад=академик, ул=улица"
        ),
        before_numbers=_pairs("№=номер, стр=страница, гл=глава, ст=статья, рис=рисунок, д=дом, кв=квартира"),
        anywhere=_pairs(
            "т.е=то есть, и т.д=и так далее, и т.п=и тому подобное, т.к=так как, т.н=так называемый, "
            "др=другие, напр=например"
        ),
        magnitudes=_pairs("тыс=тысяч, млн=миллионов, млрд=миллиардов"),
        before_feminine=_pairs("один=одна, два=две"),
        feminine=r"(?:\w+ая )?\w+[ая]\b",
        fractions=_pairs("1/2=одна вторая, 1/4=одна четвёртая, 3/4=три четвёртых"),
        ordinal="-(?:й|ый|ий)",
        letters=_letters(
            "а бэ вэ гэ дэ е жэ зэ и ка эль эм эн о пэ эр эс тэ у эф ха цэ че ша ща э ю я",
            "абвгдежзиклмнопрстуфхцчшщэюя",
        ),
    ),
    "uk": Language(
        "кома",
        "мінус",
        _signs("і, плюс, помножити на, поділити на, равлик, скісна риска, крапка, номер, параграф, дорівнює"),
        before_numbers=_pairs("№=номер, с=сторінка"),
    ),
    "ar": Language(
        "فاصلة",
        "سالب",
        _signs("و, زائد, في, على, آت, شرطة مائلة, نقطة, رقم, فقرة, يساوي"),
        before_names=_pairs("د=دكتور, أ=أستاذ"),
    ),
    "hi": Language(
        "दशमलव",
        "ऋण",
        _signs("और, जमा, गुणा, भाग, ऐट, स्लैश, डॉट, नंबर, धारा, बराबर"),
        before_names=_pairs("डॉ=डॉक्टर, श्री=श्री, प्रो=प्रोफेसर"),
        fractions=_pairs("1/2=आधा, 1/4=एक चौथाई, 3/4=तीन चौथाई"),
        year_first=1100,
    ),
    "zh": Language(
        "点",
        "负",
        _signs("和, 加, 乘, 除以, 艾特, 斜杠, 点, 号, 节, 等于"),
        magnitudes=_pairs("万=万, 亿=亿"),
        fractions=_pairs("1/2=二分之一, 1/4=四分之一, 3/4=四分之三, 1/3=三分之一, 2/3=三分之二"),
    ),
    "da": Language(
        "komma", "minus", _signs("og, plus, gange, divideret med, snabel-a, skråstreg, punktum, nummer")
    ),
    "no": Language(
        "komma", "minus", _signs("og, pluss, ganger, delt på, krøllalfa, skråstrek, punktum, nummer")
    ),
    "fi": Language("pilkku", "miinus", _signs("ja, plus, kertaa, jaettuna, ät, vinoviiva, piste, numero")),
    "tr": Language("virgül", "eksi", _signs("ve, artı, çarpı, bölü, et, eğik çizgi, nokta, numara")),
    "ro": Language("virgulă", "minus", _signs("și, plus, ori, împărțit la, arond, bară, punct, numărul")),
    "hu": Language("egész", "mínusz", _signs("és, plusz, szorozva, osztva, kukac, perjel, pont, szám")),
}
