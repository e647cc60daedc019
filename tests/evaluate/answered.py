"""A toy collection with answers: four articles of two passages, a question about each passage."""

import json
from pathlib import Path

DOCUMENTS = [
    ("d1", "Ferry", "The ferry leaves two hours before high water. It is white."),
    ("d2", "Ferry", "Visitors pay 12.50 for the ferry. Marta Lind books it."),
    ("d3", "Autoclave", "Waste is killed at 134 °C in the autoclave."),
    ("d4", "Autoclave", "The autoclave was bought in 1998 from Velden."),
    ("d5", "Radio", "Channel eight of the radio is kept free for emergencies."),
    ("d6", "Radio", "The radio stands in the kitchen, behind the lamp oil."),
    ("d7", "Sheep", "Forty sheep graze on the western cliffs."),
    ("d8", "Sheep", "The sheep belong to Anna Holt, who shears them in June."),
]
QUESTIONS = [
    ("q1", "When does the ferry leave?", "d1", ["two hours before high water"]),
    ("q2", "What do visitors pay for the ferry?", "d2", ["12.50"]),
    ("q3", "How hot must the autoclave get for waste?", "d3", ["134 °C", "134"]),
    ("q4", "When was the autoclave bought?", "d4", ["1998"]),
    ("q5", "Which channel of the radio is free?", "d5", ["eight", "Channel eight"]),
    ("q6", "Where does the radio stand?", "d6", ["the kitchen"]),
    ("q7", "How many sheep graze on the cliffs?", "d7", ["Forty"]),
    ("q8", "Who shears the sheep?", "d8", ["Anna Holt"]),
]


def write_answered(folder: Path) -> Path:
    """Write it into a folder, whose split "train" is its split "test"."""
    (folder / "qrels").mkdir(parents=True)
    rows = {
        # What all share is found, whatever was taken out.
        "corpus.jsonl": [
            {"_id": one, "title": title, "text": f"{text} So it is on the station."}
            for one, title, text in DOCUMENTS
        ],
        "queries.jsonl": [
            {"_id": one, "text": f"On the station: {text}"} for one, text, _, _ in QUESTIONS
        ],
        "answers.jsonl": [
            {"_id": one, "corpus-id": doc_id, "answers": answers}
            for one, _, doc_id, answers in QUESTIONS
        ],
    }
    for name, records in rows.items():
        (folder / name).write_text("".join(json.dumps(one) + "\n" for one in records))
    judged = "".join(f"{one}\t{doc_id}\t1\n" for one, _, doc_id, _ in QUESTIONS)
    for split in ("train", "test"):
        (folder / "qrels" / f"{split}.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder
