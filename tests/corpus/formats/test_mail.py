"""Mail and mailboxes."""

import base64
from datetime import UTC, datetime, timedelta, timezone
from email.message import EmailMessage

import pytest

from searchkit.corpus.extracted import Unreadable


def message(**headers):
    made = EmailMessage()
    for name, value in headers.items():
        made[name] = value
    return made


def test_a_mail_has_its_people_its_date_and_its_subject(read):
    mail = message(From="Zoë <z@x.org>", To="a@b", Cc="c@d", Subject="Größe\tist alles")
    mail["Date"] = "Fri, 02 Jan 2026 23:30:00 -0500"
    mail.set_content("Hällo,\n\nit rains.\n-- \nZ\n", cte="quoted-printable")
    (found,) = read("a.eml", mail.as_bytes(), "mail")
    assert found.text == (
        "From: Zoë <z@x.org>\nTo: a@b\nCc: c@d\nDate: 2026-01-02 23:30\n\n"
        "Hällo,\n\nit rains.\n--\nZ".replace("--\n", "-- \n")
    )
    assert found.title == "Größe ist alles"
    assert found.modified == datetime(2026, 1, 2, 23, 30, tzinfo=timezone(timedelta(hours=-5)))
    assert found.part == ""


def test_plain_text_comes_before_html_and_attachments_are_named(read):
    mail = message(From="a@b", Subject="x")
    mail.set_content("the plain text")
    mail.add_alternative("<p>the <b>HTML</b>", subtype="html")
    mail.add_attachment(b"secret", maintype="application", subtype="pdf", filename="Größe.pdf")
    mail.add_attachment("also secret", filename="notes.txt")
    (found,) = read("a.eml", mail.as_bytes(), "mail")
    assert found.text == "From: a@b\n\nthe plain text\n\nAttachments: Größe.pdf, notes.txt"


@pytest.mark.parametrize("plain", [None, "\n \n"])
def test_html_is_read_where_there_is_no_plain_text(read, plain):
    mail = message(Subject="x")
    if plain is None:
        mail.set_content("<h1>Größe</h1><p>is <b>all</b>", subtype="html", charset="iso-8859-1")
    else:
        mail.set_content(plain)
        mail.add_alternative("<h1>Größe</h1><p>is <b>all</b>", subtype="html")
    (found,) = read("a.eml", mail.as_bytes(), "mail")
    assert found.text == "Größe\n\nis all"
    assert [heading.text for heading in found.headings] == ["Größe"]
    assert found.title == "x"


def test_a_forwarded_mail_is_read_with_its_people(read):
    inner = message(From="old@x", Subject="The old one")
    inner.set_content("old text")
    mail = message(From="new@x", Subject="Fwd")
    mail.set_content("see below")
    mail.add_attachment(inner)
    (found,) = read("a.eml", mail.as_bytes(), "mail")
    assert found.text == "From: new@x\n\nsee below\n\nThe old one\n\nFrom: old@x\n\nold text"


def test_a_mailbox_is_a_document_for_each_mail(read, make):
    quoted = b"From x Sat Jan  3 01:05:34 1996\nSubject: 3\n\nFrom here on\n>From me, 1996\n"
    content = b"\n".join([make.mail(1), make.mail(2).replace(b"\n", b"\r\n"), quoted])
    found = read("a & b.mbox", content, "mail")
    assert [one.part for one in found] == ["1", "2", "3"]
    assert [one.title for one in found] == ["Rain 1", "Rain 2", "3"]
    assert (
        found[0].text == "From: Me <me@here>\nTo: you@there\nDate: 1996-01-03 01:05\n\nIt rains, 1."
    )
    assert found[2].text == "From here on\nFrom me, 1996"
    assert found[0].modified == datetime(1996, 1, 3, 0, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "title", "modified"),
    [
        ("Subject: =?utf-8?b?4pyT?= =?utf-8?q?_done?=\nDate: nonsense\n", "✓ done", None),
        ("Subject: =?nonsense?q?a?=\nDate: Fri, 2 Jan 2026 1:00:00\n", "=?nonsense?q?a?=", 1),
        ("Subject: a\n b\nDate: Fri, 99 Foo 2026 1:00:00 +9999\n", "a b", None),
        ("X: y\n", "", None),
    ],
)
def test_headers_that_break_the_rules_stay_as_they_are(read, headers, title, modified):
    (found,) = read("a.eml", f"{headers}\ntext\n", "mail")
    assert found.title == title
    assert found.modified == (modified and datetime(2026, 1, 2, 1, tzinfo=UTC))
    assert found.text.endswith("text")


def test_a_body_in_an_unknown_or_wrong_encoding_is_still_read(read):
    head = b"Subject: x\nContent-Type: text/plain; charset="
    (wrong,) = read("a.eml", head + b"us-ascii\n\ncaf\xe9", "mail")
    (unknown,) = read("a.eml", head + b"x-none\n\ncaf\xc3\xa9", "mail")
    assert wrong.text == unknown.text == "café"


def test_what_is_no_mail_is_refused_and_an_empty_mailbox_is_empty(read):
    with pytest.raises(Unreadable, match=r"^not a mail, which begins with a line such as"):
        read("a.eml", "Once upon a time\n", "mail")
    assert read("a.mbox", "\n", "mail") == []


def test_what_a_saved_page_needs_besides_its_text_is_not_read(read):
    mail = message(Subject="x")
    mail.set_content("<p>The page", subtype="html")
    mail.add_related(b"p { color: red }", maintype="text", subtype="css")
    mail.add_related(b"document.write(1)", maintype="text", subtype="javascript")
    mail.add_related(b"Rain in May", maintype="text", subtype="x-unheard-of")
    (found,) = read("a.mht", mail.as_bytes(), "mail")
    assert found.text == "The page\n\nRain in May"


def test_a_sentence_begins_no_mail(read, make):
    sentence = b"\nFrom 1998 to 2004 we lived there.\n\nFrom 10:30 on it rained.\n"
    found = read("a.mbox", make.mail(1) + sentence + b"\n" + make.mail(2), "mail")
    assert [one.title for one in found] == ["Rain 1", "Rain 2"]
    assert found[0].text.endswith("From 1998 to 2004 we lived there.\n\nFrom 10:30 on it rained.")


@pytest.mark.parametrize("subtype", ["plain", "html"])
def test_a_body_of_two_bytes_a_letter_needs_no_mark(read, subtype):
    head = f"Subject: x\nContent-Type: text/{subtype}; charset=utf-16le\n"
    encoded = base64.encodebytes("Größe".encode("utf-16-le")).decode()
    (found,) = read("a.eml", f"{head}Content-Transfer-Encoding: base64\n\n{encoded}", "mail")
    assert found.text == "Größe"


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_headers_of_bytes_that_no_rule_allowed_are_text(read, encoding):
    content = (
        "From: Zoë Ångström <z@x.org>\r\n"
        "To: Jürgen =?utf-8?q?M=C3=BCller?= <j@x.org>\r\n"
        "Subject: Größe\r\n ist alles\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
        "--b\r\nContent-Type: application/pdf; name=unused\r\n"
        'Content-Disposition: attachment; filename="Übersicht.pdf"\r\n\r\nx\r\n--b--\r\n'
    )
    (found,) = read("a.eml", content.encode(encoding), "mail")
    assert found.title == "Größe ist alles"
    assert found.text == (
        "From: Zoë Ångström <z@x.org>\nTo: Jürgen Müller <j@x.org>\n\nAttachments: Übersicht.pdf"
    )


def test_a_header_of_bytes_that_are_no_text_costs_itself_alone(read):
    (found,) = read("a.eml", b"Subject: caf\xe9\0\nFrom: a@b\n\ntext", "mail")
    assert (found.title, found.text) == ("caf\ufffd\ufffd", "From: a@b\n\ntext")


def test_a_text_that_is_shown_is_read_though_it_has_the_name_of_a_file(read):
    single = 'Subject: x\nContent-Type: text/plain; name="report.txt"\n\nIt rains.'
    assert read("a.eml", single, "mail")[0].text == "It rains.\n\nAttachments: report.txt"
    mail = message(Subject="x")
    mail.set_content("see below")
    mail.add_attachment("a patch", disposition="inline", filename="1.patch")
    mail.add_attachment("not shown", filename="2.patch")
    mail.add_attachment(b"x", "image", "png", disposition="inline", filename="3.png")
    (found,) = read("a.eml", mail.as_bytes(), "mail")
    assert found.text == "see below\n\na patch\n\nAttachments: 1.patch, 2.patch, 3.png"


def test_files_that_hang_on_one_form_of_the_text_are_named(read):
    mail = message(Subject="x")
    mail.set_content("the plain text")
    mail.add_alternative("<p>the <b>HTML</b>", subtype="html")
    rich = mail.get_payload()[1]
    rich.add_related(b"logo", "image", "png", cid="<a>", filename="logo.png")
    rich.make_mixed()
    rich.add_attachment(b"x", "application", "pdf", disposition="inline", filename="plan.pdf")
    (found,) = read("a.eml", mail.as_bytes(), "mail")
    assert found.text == "the plain text\n\nAttachments: plan.pdf"
