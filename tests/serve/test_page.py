"""The page as a person uses it: a real server, a real browser, clicks and keys."""

import json
import re
from collections import Counter
from contextlib import suppress
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from searchkit.commands.app import main

from .browsing import browsing, chromium, serving

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("fastapi", reason="the serve extra is not installed")
expect = playwright.expect

pytestmark = pytest.mark.skipif(
    chromium() is None, reason="no Chromium on the PATH; name one in SEARCHKIT_CHROMIUM"
)

FILLING = "\n\n".join(
    f"Paragraph {number} of the long guide says nothing that anybody would look for."
    for number in range(1, 120)
)
FILES = {
    "lab/autoclave.md": "# Autoclave care\n\n## Before the run\n\nFill the tank with distilled "
    "water.\nClose the door.\n\n## After the run\n\nWait until the gauge shows zero.\n",
    "lab/cold-store.md": "# Cold store\n\nThe cold store holds samples.\n\n"
    "Distilled water stands behind the lamp oil.\n",
    "boats/ferry.md": "# Ferry to the island\n\nThe ferry leaves two hours before high water.\n\n"
    "On Sundays the ferry does not run.\n",
    "boats/radio.txt": "Radio at sea\n\nChannel eight is kept free for emergencies at sea.\n",
    "house/leave.md": "# Leave\n\nAsk for leave twice as many days ahead as you want off.\n",
    "house/water.html": "<h1>Water of the house</h1><p>Rain water is collected in tanks; "
    "the watering of the garden stops in June.</p>",
    "guide.md": f"# Long guide\n\n{FILLING}\n\nThe lighthouse \N{SEAL}\N{SEAL} keeper is called "
    f"Marjorie.\n\n{FILLING}\n",
    "evil.md": "# <script>window.harmed = 1</script> quokka\n\nA quokka <img src=x "
    'onerror="window.harmed = 1"> says </mark><script>window.harmed = 1</script> hello.\n',
}
VECTORS = "hybrid:mean-causal"


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_model):
    """A folder of files, and the home of its index."""
    folder, home = tmp_path_factory.mktemp("files") / "notes", tmp_path_factory.mktemp("home")
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEARCHKIT_HOME", str(home))
        designs = ["--variant", "mean-causal", "--variant", "eos_last-bidirectional"]
        base = ["--base", str(tiny_model("llama"))]
        assert main(["index", str(folder), *base, *designs]) == 0
    return folder, home


@pytest.fixture(scope="module")
def token(made):
    from searchkit.serve import tokens

    return tokens.new(made[1] / "serve-token")


@pytest.fixture(scope="module")
def address(made, token):
    home = made[1]
    with serving(home, "--llm", "none", "--token-file", str(home / "serve-token")) as where:
        yield where


@pytest.fixture(scope="module")
def browser():
    expect.set_options(timeout=30_000)
    with browsing(chromium()) as running:
        yield running


@pytest.fixture
def visit(browser, address, token):
    """Opens the page in a browser of its own; nothing may go wrong or leave the server."""
    contexts, wrong = [], []

    def open_page(hash_="", *, given=True, **options):
        context = browser.new_context(reduced_motion="reduce", **options)
        contexts.append(context)
        context.set_default_timeout(30_000)
        if given:
            context.add_init_script(f"sessionStorage.setItem('searchkit.token', {token!r})")
        page = context.new_page()
        page.on("console", lambda one: _complain(wrong, one))
        page.on("pageerror", lambda one: wrong.append(str(one)))
        page.on("request", lambda one: one.url.startswith(address) or wrong.append(one.url))
        page.goto(address + hash_)
        if given:
            expect(page.locator("#index option")).to_have_count(1)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert wrong == []


def _complain(wrong, message):
    refused = "status of 4" in message.text  # what a test provokes: the browser logs it
    if message.type in ("error", "warning") and not refused:
        wrong.append(message.text)


@pytest.fixture
def page(visit):
    return visit()


@pytest.fixture(scope="module")
def ask_server(address, token):
    """Asks the API without the page."""

    def ask(path, body=None):
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{address}api/indexes/notes/{path}", data, headers)) as answer:
            return json.load(answer)

    return ask


def ids(page, column="left"):
    options = page.locator(f"#{column} [role=option]")
    return options.evaluate_all("all => all.map(one => one.dataset.id)")


def marked(page, column="left"):
    return page.locator(f"#{column} [aria-selected=true]").get_attribute("data-id")


def search(page, query):
    """Type a query, and wait for its answer."""
    page.locator("#query").fill(query)
    settled(page)


def settled(page):
    expect(page.locator(".waiting")).to_have_count(0)
    expect(page.locator("#left .remark")).to_contain_text("found,")


def hold(page, is_held):
    """Keep answers to searches back, by their bodies; gives the list of those that wait."""
    held = []

    def take(route):
        if is_held(route.request.post_data_json):
            held.append(route)
        else:
            route.continue_()

    page.route("**/search", take)
    return held


def until(page, condition):
    """Wait for what is neither an element nor a text; thirty seconds are forever."""
    for _ in range(600):
        if condition():
            return
        page.wait_for_timeout(50)
    raise AssertionError("it did not come about")


def hash_of(page):
    return page.evaluate("location.hash")


class TestSearch:
    def test_finds_while_letters_come(self, page):
        expect(page.locator("#query")).to_be_focused()
        expect(page.locator("#left .nothing")).to_contain_text("8 documents. Type what you are")
        page.keyboard.type("emergenc")
        expect(page.locator("#left [role=option]")).to_have_count(1)
        assert ids(page) == ["boats/radio.txt"]
        expect(page.locator("#left .snippet mark")).to_have_text("emergencies")
        expect(page.locator("#status")).to_have_text("1 found")
        page.locator("#query").fill("")
        expect(page.locator("#left [role=option]")).to_have_count(0)

    def test_keeps_what_is_typed_before_the_index_is_there(self, page):
        held = []
        page.route("**/api/indexes", lambda route: held.append(route), times=1)
        page.reload()
        page.keyboard.type("emergencies")
        until(page, lambda: held)
        held[0].continue_()
        settled(page)
        assert ids(page) == ["boats/radio.txt"]
        expect(page.locator("#query")).to_have_value("emergencies")

    def test_shows_words_at_once_and_the_whole_answer_when_vectors_are_there(self, visit):
        page = visit(f"#left={VECTORS}")
        held = hold(page, lambda body: body["mode"] == "hybrid")
        page.keyboard.type("distilled water")
        expect(page.locator("#left .remark")).to_contain_text("by words, vectors to come")
        words = ids(page)
        assert words[0].startswith("lab/")
        until(page, lambda: held and held[-1].request.post_data_json["query"] == "distilled water")
        held[-1].continue_()
        settled(page)
        assert len(ids(page)) == len(FILES) > len(words)

    def test_a_stale_answer_never_wins(self, page):
        held = hold(page, lambda body: body["query"] == "ferry")
        page.locator("#query").fill("ferry")
        until(page, lambda: held)
        search(page, "autoclave")
        assert ids(page) == ["lab/autoclave.md"]
        for route in held:
            with suppress(playwright.Error):  # nobody listens any more
                route.fulfill(json={"results": [], "took_ms": 1, "generation": "stale"})
        page.wait_for_timeout(200)
        assert ids(page) == ["lab/autoclave.md"]
        expect(page.locator("#left .remark")).to_contain_text("1 found")

    def test_what_a_person_is_at_stays_in_its_row(self, visit):
        page = visit(f"#left={VECTORS}")
        held = hold(page, lambda body: body["mode"] == "hybrid")
        page.keyboard.type("water")
        expect(page.locator("#left .remark")).to_contain_text("vectors to come")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("End")
        row, there = len(ids(page)) - 1, marked(page)
        until(page, lambda: held and held[-1].request.post_data_json["query"] == "water")
        held[-1].continue_()
        settled(page)
        assert ids(page)[row] == marked(page) == there
        page.keyboard.press("Home")
        ranks = page.locator("#left .rank").all_inner_texts()
        assert ranks == [str(rank) for rank in range(1, len(ranks) + 1)]

    def test_says_what_the_server_says(self, page):
        search(page, "ferry")
        page.locator("#query").fill("ferry " * 2000)
        expect(page.locator("#error")).to_contain_text("8192")
        expect(page.locator("#left .remark")).to_have_text("no answer")
        search(page, "ferry")
        expect(page.locator("#error")).to_be_empty()

    def test_enter_searches_again_after_a_failure(self, page):
        search(page, "emergencies")
        refusal = {"error": {"status": 408, "message": "it took too long"}}
        page.route("**/search", lambda route: route.fulfill(status=408, json=refusal))
        page.locator("#query").fill("ferry")
        expect(page.locator("#left .remark")).to_have_text("no answer")
        expect(page.locator("#error")).to_contain_text("it took too long")
        expect(page.locator("[aria-busy=true]")).to_have_count(0)
        page.unroute("**/search")
        page.locator("#query").press("Enter")
        expect(page.locator("#preview .about .place")).to_contain_text("boats/ferry.md")
        assert "boats" in hash_of(page)

    def test_helps_where_nothing_is_found(self, page):
        page.locator("#query").fill("zzyzx")
        expect(page.locator("#left .nothing")).to_contain_text("Nothing found.")
        page.get_by_role("button", name="Search with BM25 + eos_last-bidirectional").click()
        expect(page.locator("#left [role=option]")).to_have_count(len(FILES))

    def test_chips_filter(self, page):
        search(page, "water")
        assert "house/water.html" in ids(page)
        chip = page.locator("#filters .chip", has_text="html")
        chip.click()
        expect(page.locator("#left [role=option]")).to_have_count(1)
        assert ids(page) == ["house/water.html"]
        expect(chip).to_have_attribute("aria-pressed", "true")
        assert "f=format%3Ahtml" in hash_of(page)
        page.get_by_role("button", name="Clear filters").click()
        expect(page.locator("#left [role=option]")).not_to_have_count(1)

    def test_takes_up_what_an_index_becomes(self, page, made, monkeypatch):
        folder, home = made
        page.locator("#query").fill("walrus")
        expect(page.locator("#left .nothing")).to_contain_text("Nothing found.")
        (folder / "walrus.md").write_text("# Walrus\n\nA walrus was seen.\n")
        monkeypatch.setenv("SEARCHKIT_HOME", str(home))
        assert main(["index", "--name", "notes"]) == 0
        expect(page.locator("#left [role=option]")).to_have_count(1)
        (folder / "walrus.md").unlink()
        assert main(["index", "--name", "notes"]) == 0
        expect(page.locator("#left .nothing")).to_contain_text("Nothing found.")


class TestDocument:
    def test_arrows_move_and_enter_opens_with_the_match_in_view(self, page):
        search(page, "water")
        found = ids(page)
        page.keyboard.press("ArrowDown")
        assert marked(page) == found[0]
        page.keyboard.press("ArrowDown")
        page.keyboard.press("j")
        page.keyboard.press("k")
        assert marked(page) == found[1]
        page.keyboard.press("Enter")
        expect(page.locator("#preview .text")).to_be_focused()
        expect(page.locator("#preview .about .place")).to_contain_text(found[1])
        expect(page.locator("#preview .passage mark").first).to_be_in_viewport()
        page.keyboard.press("Escape")
        expect(page.locator("#left [role=listbox]")).to_be_focused()
        page.keyboard.press("Escape")
        expect(page.locator("#query")).to_be_focused()

    def test_scrolls_to_the_line_and_reads_on_where_one_scrolls(self, page):
        search(page, "lighthouse keeper")
        passage = page.locator("#preview .passage")
        expect(page.locator("#preview .where")).to_have_text(re.compile(r"lines? \d+"))
        expect(page.locator("#preview mark", has_text="keeper")).to_be_in_viewport()
        assert "\N{SEAL}\N{SEAL}" in passage.inner_text()  # each is two units of JavaScript
        assert page.locator("#preview mark").all_inner_texts() == ["lighthouse", "keeper"]
        text = page.locator("#preview .text")
        assert not text.inner_text().startswith("Long guide")

        def reads(place, words, times=1):
            text.evaluate(f"one => one.scrollTo(0, {place})")
            return text.text_content().count(words) == times

        until(page, lambda: reads("0", "# Long guide"))
        until(page, lambda: reads("one.scrollHeight", "Paragraph 119 of", 2))
        numbers = re.findall(r"Paragraph (\d+) of", text.text_content())
        assert Counter(numbers) == {str(number): 2 for number in range(1, 120)}

    def test_goes_through_the_passages_that_match(self, page):
        search(page, "anybody looking")
        steps = page.locator("#preview .steps span")
        expect(steps).to_have_text(re.compile(r"passage \d+ of \d+"))
        number, count = map(int, re.findall(r"\d+", steps.inner_text()))
        page.keyboard.press("ArrowDown")
        page.keyboard.press("m")
        expect(steps).to_have_text(f"passage {number % count + 1} of {count}")
        expect(page.locator("#preview .passage mark").first).to_be_in_viewport()
        page.keyboard.press("M")
        expect(steps).to_have_text(f"passage {number} of {count}")

    def test_shows_markup_as_text(self, page):
        search(page, "quokka")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        for place in ("#left [role=option] .snippet", "#preview .text"):
            expect(page.locator(place)).to_contain_text("<img src=x")
        assert page.locator("#left img, #preview img, #left script, #preview script").count() == 0
        assert page.evaluate("window.harmed") is None
        page.keyboard.press("a")
        expect(page.locator("#answer .evidence")).to_contain_text("<img src=x")
        assert page.evaluate("window.harmed") is None

    def test_judging_by_key_is_in_the_ledger(self, page, made):
        ledger = made[1] / "judgements" / "notes.jsonl"
        search(page, "distilled water")
        first, second = ids(page)[:2]
        page.keyboard.press("ArrowDown")
        page.keyboard.press("2")
        expect(page.locator("#left .grade")).to_have_text(["highly relevant"])
        page.keyboard.press("j")
        page.keyboard.press("0")
        expect(page.locator("#left .grade")).to_have_text(["highly relevant", "not relevant"])
        lines = [json.loads(line) for line in ledger.read_text().splitlines()]
        given = [(one["query"], one["doc_id"], one["grade"]) for one in lines]
        assert given == [("distilled water", first, 2), ("distilled water", second, 0)]
        page.get_by_role("button", name="perfect").click()
        expect(page.locator("#left .grade")).to_have_text(["highly relevant", "perfect"])
        page.reload()
        settled(page)
        expect(page.locator("#left .grade")).to_have_text(["highly relevant", "perfect"])


class TestSideBySide:
    def test_changes_of_rank_are_those_of_the_api(self, page, ask_server):
        search(page, "water before the run")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("c")
        page.locator("#right-system").select_option("dense:eos_last-bidirectional")
        settled(page)
        expect(page.locator("#right [role=option]")).to_have_count(len(FILES))
        right = {"mode": "dense", "variant": "eos_last-bidirectional"}
        body = {"query": "water before the run", "k": 20, "typing": True, "mode": "bm25"}
        answer = ask_server("search", {**body, "compare": right})
        ranks = {one["doc_id"]: one["rank"] for one in answer["results"]}
        wanted = [
            _change(ranks.get(one["doc_id"]), one["rank"]) for one in answer["compared"]["results"]
        ]
        assert {"new"} < {one[:1] if one != "new" else one for one in wanted}
        shown = page.locator("#right .change [aria-hidden]").all_inner_texts()
        assert shown == wanted
        said = page.locator("#right .change .unseen").all_text_contents()
        assert said[wanted.index("new")].strip() == "new: not among the first of BM25"

    def test_keys_cross_to_the_same_document(self, visit):
        page = visit("#q=water&view=compare&left=bm25&right=dense%3Amean-causal")
        settled(page)
        page.keyboard.press("/")
        page.keyboard.press("ArrowDown")
        there = marked(page)
        page.keyboard.press("ArrowRight")
        assert marked(page, "right") == there
        expect(page.locator("#right [role=listbox]")).to_be_focused()
        expect(page.locator("#left .twin")).to_have_attribute("data-id", there)


class TestAnswer:
    def test_citations_scroll_to_their_passages(self, page):
        page.locator("#query").fill("When does the ferry leave?")
        page.get_by_role("button", name="Answer").click()
        expect(page.locator("#answer .sure")).to_contain_text("confidence")
        citation = page.locator("#answer .citation").first
        expect(citation).to_be_visible()
        number = re.search(r"\d+", citation.inner_text())[0]
        page.locator("#answer .scrolled").evaluate("one => one.scrollTo(0, one.scrollHeight)")
        citation.click()
        option = page.locator("#answer [role=option][aria-selected=true]")
        expect(option.locator(".rank")).to_contain_text(number)
        expect(option).to_be_in_viewport()
        expect(page.locator("#preview .about .place")).to_contain_text("boats/ferry.md")
        cited = page.locator("#preview .cited")
        expect(cited.first).to_be_in_viewport()
        sentence = page.locator("#answer .sentence > span").first.inner_text()
        assert "".join(cited.all_text_contents()).strip() in sentence

    def test_says_plainly_that_there_is_none_and_takes_another_question(self, page):
        page.locator("#query").fill("Who won the zzyzx regatta of Krakow?")
        page.get_by_role("button", name="Answer").click()
        expect(page.locator("#answer .abstained")).to_have_text("The documents do not answer this.")
        expect(page.locator("#answer .sentences")).to_contain_text("Nothing was found.")
        sure = re.compile(r"confidence 0\.\d+, below 0\.\d+")
        expect(page.locator("#answer .sure")).to_have_text(sure)
        page.get_by_label("Ask further").fill("When does the ferry leave?")
        with page.expect_request("**/ask") as sent:
            page.get_by_label("Ask further").press("Enter")
        history = sent.value.post_data_json["history"]
        assert history == [{"question": "Who won the zzyzx regatta of Krakow?", "answer": ""}]
        expect(page.locator("#answer .earlier")).to_contain_text("zzyzx regatta")
        expect(page.locator("#answer .citation").first).to_be_visible()

    def test_a_server_that_writes_no_answers_says_so(self, page):
        page.locator("#query").fill("When does the ferry leave?")
        page.get_by_role("button", name="Answer").click()
        page.get_by_role("button", name="Write").click()
        expect(page.locator("#error")).to_contain_text("--llm none")
        expect(page.locator("#answer .remark")).to_have_text("no answer")

    def test_who_leaves_an_answer_stops_it_and_asks_anew(self, page):
        held = []
        page.route("**/ask", lambda route: held.append(route))
        page.locator("#query").fill("When does the ferry leave?")
        page.get_by_role("button", name="Answer").click()
        until(page, lambda: held)
        page.locator("#views [data-view=search]").click()
        expect(page.locator("#answer .sentences")).to_have_attribute("aria-busy", "false")
        settled(page)
        expect(page.locator("#answer .column.idle, #answer ol.idle")).to_have_count(1)
        page.unroute("**/ask")
        page.locator("#views [data-view=ask]").click()
        expect(page.locator("#answer .citation").first).to_be_visible()


class TestAddress:
    def test_a_link_shows_the_same_in_another_tab_and_back_undoes(self, page, visit):
        search(page, "water")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        there = marked(page)
        expect(page.locator("#preview .text")).to_be_focused()
        second = visit(hash_of(page))
        settled(second)
        expect(second.locator("#query")).to_have_value("water")
        expect(second.locator("#preview .about .place")).to_contain_text(there)
        expect(second.locator("#preview .passage mark").first).to_be_in_viewport()
        assert marked(second) == there
        page.go_back()
        assert "open=" not in hash_of(page)
        page.locator("#filters .chip", has_text="html").click()
        expect(page.locator("#left [role=option]")).to_have_count(1)
        page.go_back()
        expect(page.locator("#left [role=option]")).not_to_have_count(1)
        page.go_forward()
        expect(page.locator("#left [role=option]")).to_have_count(1)

    def test_a_token_is_asked_for_where_one_is_needed(self, visit, token):
        page = visit(given=False)
        field = page.get_by_label("Token", exact=True)
        field.fill("wrong")
        page.keyboard.press("Enter")
        expect(page.locator("#token-refused")).to_be_visible()
        field.fill(token)
        page.keyboard.press("Enter")
        expect(page.locator("#left .nothing")).to_contain_text("8 documents")
        assert page.evaluate("localStorage.length") == 0
        page.reload()
        expect(page.locator("#left .nothing")).to_contain_text("8 documents")


CONTRASTS = Path(__file__).with_name("contrast.js").read_text(encoding="utf-8")


class TestEveryone:
    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_every_text_can_be_read(self, visit, scheme):
        page = visit("#q=distilled+water&view=compare", color_scheme=scheme)
        settled(page)
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) < 300) == (scheme == "dark")
        assert page.evaluate(CONTRASTS) == []
        page.get_by_role("button", name="Answer").click()
        expect(page.locator("#answer .sure")).to_contain_text("confidence")
        assert page.evaluate(CONTRASTS) == []
        page.locator("#theme").click()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") != ground
        assert page.evaluate(CONTRASTS) == []

    def test_a_narrow_page_has_a_list_and_a_sheet_and_the_way_back(self, visit):
        page = visit(viewport={"width": 360, "height": 640}, has_touch=True, is_mobile=True)
        search(page, "water")
        assert _too_wide(page) == 0
        expect(page.locator("#preview")).not_to_be_visible()
        page.locator("#left [role=option]").nth(1).tap()
        expect(page.locator("#preview h2")).to_be_focused()
        expect(page.locator("#preview .passage mark").first).to_be_in_viewport()
        assert _too_wide(page) == 0
        page.get_by_role("button", name="perfect").tap()
        expect(page.get_by_role("button", name="perfect")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="‹ Results").tap()
        expect(page.locator("#preview")).not_to_be_visible()
        expect(page.locator("#left [role=listbox]")).to_be_focused()
        page.locator("#left [role=option]").first.tap()
        expect(page.locator("#preview")).to_be_visible()
        page.go_back()
        expect(page.locator("#preview")).not_to_be_visible()
        for view in ("Side by side", "Answer"):
            page.get_by_role("button", name=view).tap()
            expect(page.locator("[role=option]:visible").last).to_be_visible()
            assert _too_wide(page) == 0

    @pytest.mark.parametrize("view", ["search", "compare", "ask"])
    def test_every_control_has_a_name_and_a_role(self, visit, view):
        page = visit(f"#q=distilled+water&view={view}")
        expect(page.locator("[role=option]:visible").first).to_be_visible()
        tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
        roles = {"button", "searchbox", "textbox", "combobox", "listbox", "option", "checkbox"}
        roles |= {"region", "group", "link", "search", "dialog"}
        nameless = [
            node["role"]["value"]
            for node in tree
            if not node["ignored"]
            and node["role"]["value"] in roles
            and not node.get("name", {}).get("value", "").strip()
        ]
        assert Counter(nameless) in (Counter(), Counter({"search": 1}))
        first = page.locator("[role=listbox]:visible").first
        assert "distilled" in first.aria_snapshot().lower()

    def test_keys_are_told_and_can_be_turned_off(self, page):
        search(page, "water")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("?")
        expect(page.get_by_role("dialog")).to_contain_text("the next passage")
        page.get_by_label("letters and digits are keys").uncheck()
        page.keyboard.press("Escape")
        expect(page.get_by_role("dialog")).not_to_be_visible()
        page.locator("#left [role=listbox]").focus()
        page.keyboard.press("c")
        expect(page.locator("#right")).not_to_be_visible()

    def test_the_page_can_be_used_without_a_mouse(self, page):
        page.keyboard.press("Shift+Tab")
        for _ in range(4):
            if page.evaluate("document.activeElement.id") == "skip":
                break
            page.keyboard.press("Shift+Tab")
        expect(page.locator("#skip")).to_be_focused()
        search(page, "water")
        page.locator("#skip").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#left [role=listbox]")).to_be_focused()


def _change(before, after):
    if before is None:
        return "new"
    moved = before - after
    return f"▲{moved}" if moved > 0 else f"▼{-moved}" if moved else "="


def _too_wide(page):
    return page.evaluate("document.documentElement.scrollWidth - innerWidth")
