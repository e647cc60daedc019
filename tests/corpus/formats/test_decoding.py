"""Which encoding a file is in, and what becomes of the lines and the characters in it."""

import codecs
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from searchkit.corpus.extracted import Unreadable
from searchkit.corpus.formats._decoding import decoded, is_text, with_line_feeds

ANY = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufeff"))


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@given(text=ANY)
def test_a_text_comes_back_from_every_encoding_that_says_what_it_is(mark, encoding, text):
    assert decoded(mark + text.encode(encoding)) == text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Grüße – “so”".encode("cp1252"), "Grüße – “so”"),  # curly quotes are not in Latin-1
        ("Grüße".encode("latin-1"), "Grüße"),
        (b"caf\xe9 \x81", "café \x81"),  # 0x81 is nothing in Windows-1252
        ("Grüße ".encode() * 9 + b"\xfc", "Grüße " * 9 + "\ufffd"),  # UTF-8, with one broken byte
        ("日本語".encode()[:-1], "日本\ufffd"),  # cut within a character
        (b"", ""),
    ],
)
def test_what_is_no_utf_8_is_an_older_encoding_unless_nearly_all_of_it_is(content, text):
    assert decoded(content) == text


@pytest.mark.parametrize(
    ("content", "declared", "text"),
    [
        ("жук".encode("koi8-r"), "koi8-r", "жук"),
        (b"\x93x\x94", "iso-8859-1", "“x”"),  # as browsers take it: Windows-1252
        (b"\x93x\x94", "Latin1", "“x”"),
        (b"\x93x\x94", "iso8859-1", "“x”"),
        ("жук".encode("utf-16-le"), "utf-16le", "жук"),
        ("жук".encode("utf-32-be"), "UTF-32BE", "жук"),
        ("жук".encode(), "no-such", "жук"),
        ("жук".encode(), "ascii", "Ð¶ÑƒÐº"),  # what is declared is believed where it fits
        (codecs.BOM_UTF8 + "жук".encode(), "koi8-r", "жук"),
        (b"\xc3\xa9", "shift_jis", "ﾃｩ"),  # and so it is, though UTF-8 would fit as well
        (b"caf\xe9 au lait", "shift_jis", "café au lait"),  # half a letter in Shift-JIS
    ],
)
def test_a_declared_encoding_is_taken_where_it_fits(content, declared, text):
    assert decoded(content, declared) == text


@pytest.mark.parametrize(
    ("encodings", "text"),
    [
        (
            ("cp1251", "koi8-r"),
            "Завтра встречаемся у входа в метро в семь часов вечера.\n"
            "Список покупок: молоко, хлеб, сыр, яблоки и чай (setup.exe).\n",
        ),
        (
            ("cp1251", "koi8-r"),
            "Уважаемый Иван Петрович! Направляем Вам договор на согласование. С уважением, Анна\n",
        ),
        (
            ("shift_jis", "euc-jp"),
            "明日の会議は午後三時から始まります。資料を忘れないでください。\n"
            "お知らせ：来週の月曜日は祝日のため、お休みさせていただきます。\n",
        ),
        (
            ("shift_jis", "euc-jp"),
            "お世話になっております。株式会社山田商事の田中です。\n"
            "README.TXT をお読みになり、ご不明な点がありましたらお問い合わせください。\n",
        ),
        (("gb18030",), "明天下午三点在会议室开会，请大家准时参加，并带上相关资料。\n"),
        (("gb18030",), "尊敬的客户：感谢您一直以来对我公司的支持与信任。详情请看 README.TXT\n"),
        (("big5",), "明天下午三點在會議室開會，請大家準時參加，並帶上相關資料。\n"),
        (("euc-kr",), "내일 오후 세 시에 회의실에서 회의가 있습니다. 자료를 꼭 가져오세요.\n"),
        (("euc-kr",), "안녕하세요. 문의하신 내용에 대해 아래와 같이 답변 드립니다.\n"),
    ],
)
def test_a_text_in_another_script_tells_its_older_encoding(encodings, text):
    for encoding in encodings:
        assert decoded(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text",
    [
        "Die Straße war naß, und die Bäume trugen noch ihr grünes Laub.",
        "Käse, Äpfel, Brötchen, Öl",
        "L’été dernier, nous sommes allés à la plage où les élèves étaient rassemblés.",
        "Ça coûte 12 €. – “Déjà vu…”",
        "El niño comió una manzana en el jardín. ¿Cómo estás?",
        "São Paulo é a maior cidade do Brasil; amanhã não haverá aula.",
        "Hyvää yötä, älä pelkää myöhäistä yöjunaa.",
        "20 °C ± 2, £5, § 3, © 2003",
    ],
)
@pytest.mark.parametrize("times", [1, 20])
def test_a_text_in_latin_letters_is_never_taken_for_another_script(text, times):
    assert decoded(text.encode("cp1252") * times) == text * times


def test_a_few_letters_are_not_enough_to_tell_a_script():
    assert decoded("ÄÖÜ äöü ß".encode("cp1252")) == "ÄÖÜ äöü ß"


def test_what_guesses_encodings_is_loaded_for_other_scripts_alone():
    program = (
        "import sys; from searchkit.corpus.formats._decoding import decoded\n"
        "for text in ('жук ' * 50).encode(), ('Grüße ' * 50).encode('cp1252'): decoded(text)\n"
        "assert 'charset_normalizer' not in sys.modules\n"
        "assert decoded(('Жук ' * 50).encode('cp1251')) == 'Жук ' * 50\n"
        "assert 'charset_normalizer' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\r\nb\r\n", "a\nb\n"),
        ("a\rb\r", "a\nb\n"),  # an old Mac's
        ("10 %\r20 %\rdone\nnext\r\n", "10 % 20 % done\nnext\n"),  # a terminal's
        ("a\x0cb\u2028c\x85d", "a\x0cb\u2028c\x85d"),  # no editor ends a line at these
    ],
)
def test_lines_are_those_that_an_editor_counts(text, lines):
    assert with_line_feeds(text) == lines


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (b"", True),
        (b"plain", True),
        (b"\xff\xfea\0", True),
        (b"\x1b[31mred\x1b[0m", True),
        ("é".encode() * 4096, True),
        (("é" * 4096).encode()[:8191], True),  # the head ends within a character
        (b"a\0b", False),
        (b"\x7fELF\x02\x01\x01\0", False),
        (b"\x89PNG\r\n\x1a\n", False),
        (b"\xff\xd8\xff\xe0\x10JFIF", False),
    ],
)
def test_text_is_told_from_binary_data(head, text):
    assert is_text(head) is text


def test_binary_data_is_refused_and_late_nul_bytes_are_replaced():
    with pytest.raises(Unreadable, match=r"^binary data, not text$"):
        decoded(b"a\0b")
    with pytest.raises(Unreadable, match=r"^binary data, not text$"):
        decoded(b"a\0b", "utf-16le")  # half a letter too many
    assert decoded(b"a" * 9000 + b"\0b") == "a" * 9000 + "\ufffdb"
