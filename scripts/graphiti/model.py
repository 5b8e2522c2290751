"""A scripted model for a Graphiti server: it answers by rules, at once, and knows nothing.

It speaks as much of the OpenAI API as Graphiti asks for: `/v1/responses` with a JSON schema, and
`/v1/embeddings`. It finds plain sentences such as "I live in Lisbon." in the current message, each
with its verb, and calls two facts contradictory when a person can only have one of them at a time.
Prints its address, and serves until its standard input is closed.
"""

import hashlib
import json
import math
import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

DIMENSIONS = 1024
# A verb, the name of its relation, its words in a fact, and whether a person has one object at a time.
RELATIONS = [
    (r"live in|moved to", "LIVES_IN", "lives in", True),
    (r"work at|work for", "WORKS_AT", "works at", True),
    (r"have a dog called|have a cat called", "HAS_PET", "has a pet called", False),
    (r"like|love", "LIKES", "likes", False),
    (r"was born in", "BORN_IN", "was born in", True),
]


def between(text, *tags):
    for tag in tags:
        found = re.search(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        if found:
            return found.group(1).strip()
    return ""


def facts_in(message):
    """Who says what of themselves: (speaker, relation, words, object)."""
    speaker, _, said = message.partition(":")
    speaker = speaker.split("(")[0].strip() or "User"
    for verbs, relation, words, _ in RELATIONS:
        for found in re.finditer(rf"\bI (?:{verbs}) ([A-ZÀ-Ý]\w+)", said):
            yield speaker, relation, words, found.group(1)


def entities(prompt):
    message = between(prompt, "CURRENT MESSAGE", "CURRENT_MESSAGE")
    names = [message.split("(")[0].strip()]
    for speaker, _, _, thing in facts_in(message):
        names += [speaker, thing]
    unique = [name for name in dict.fromkeys(names) if name]
    found = [{"name": name, "entity_type_id": 0, "episode_indices": [0]} for name in unique]
    return {"extracted_entities": found}


def edges(prompt):
    message = between(prompt, "CURRENT_MESSAGE", "CURRENT MESSAGE")
    found = []
    for speaker, relation, words, thing in facts_in(message):
        found.append({
            "source_entity_name": speaker,
            "target_entity_name": thing,
            "relation_type": relation,
            "fact": f"{speaker} {words} {thing}",
            "episode_indices": [0],
        })
    return {"edges": found}


def resolve_nodes(prompt):
    known = {}
    for line in re.finditer(r'"candidate_id": (\d+).*?"name": "([^"]+)"', between(prompt, "EXISTING ENTITIES"), re.DOTALL):
        known[line.group(2)] = int(line.group(1))
    new = re.finditer(r'"id": (\d+).*?"name": "([^"]+)"', between(prompt, "ENTITIES"), re.DOTALL)
    resolved = [
        {"id": int(node.group(1)), "name": node.group(2), "duplicate_candidate_id": known.get(node.group(2), -1)}
        for node in new
    ]
    return {"entity_resolutions": resolved}


def exclusive(fact):
    """What a person has one of at a time, as the beginning of a fact. None: nothing of the kind."""
    for _, _, words, is_one in RELATIONS:
        if is_one and f" {words} " in fact:
            return fact.split(f" {words} ")[0] + words
    return None


def resolve_edge(prompt):
    listed = between(prompt, "EXISTING FACTS") + between(prompt, "FACT INVALIDATION CANDIDATES")
    new = between(prompt, "NEW FACT")
    text = re.search(r"[A-Za-z]+ (?:lives in|works at|has a pet called|likes|was born in) \w+", new)
    new = text.group(0) if text else new
    duplicates, contradicted = [], []
    for known in re.finditer(r"'idx': (\d+), 'fact': '([^']+)'|\"idx\": (\d+), \"fact\": \"([^\"]+)\"", listed):
        number = int(known.group(1) or known.group(3))
        fact = known.group(2) or known.group(4)
        if fact == new:
            duplicates.append(number)
        elif exclusive(new) and exclusive(fact) == exclusive(new):
            contradicted.append(number)
    return {"duplicate_facts": duplicates, "contradicted_facts": contradicted}


def timestamps(prompt):
    facts = between(prompt, "FACTS")
    count = max(1, len(re.findall(r'"fact"', facts)))
    times = re.findall(r'"reference_time": "([^"]+)"', facts)
    at = between(prompt, "REFERENCE_TIME", "REFERENCE TIME").split()
    fallback = at[0] if at else None
    of = [times[n] if n < len(times) else fallback for n in range(count)]
    return {"timestamps": [{"valid_at": time, "invalid_at": None} for time in of]}


def answer(schema, prompt):
    rules = {
        "ExtractedEntities": entities,
        "ExtractedEdges": edges,
        "NodeResolutions": resolve_nodes,
        "EdgeDuplicate": resolve_edge,
        "BatchEdgeTimestamps": timestamps,
        "EdgeTimestamps": lambda prompt: timestamps(prompt)["timestamps"][0],
        "SummarizedEntities": lambda _: {"summaries": []},
        "EntitySummary": lambda _: {"summary": ""},
        "Summary": lambda _: {"summary": ""},
        "SummaryDescription": lambda _: {"description": ""},
    }
    return rules.get(schema, lambda _: {})(prompt)


def embedding(text):
    """Words thrown into places by their digests: alike where words are shared, and no wiser."""
    vector = [0.0] * DIMENSIONS
    for word in re.findall(r"\w+", text.lower()):
        digest = hashlib.sha256(word.encode()).digest()
        vector[int.from_bytes(digest[:4], "big") % DIMENSIONS] += 1.0
    length = math.sqrt(sum(value * value for value in vector)) or 1.0
    return [value / length for value in vector]


class Model(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path.endswith("/embeddings"):
            return self.reply(self.embed(body))
        if self.path.endswith("/responses"):
            return self.reply(self.respond(body))
        self.send_error(404)

    def embed(self, body):
        texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
        data = [{"object": "embedding", "index": n, "embedding": embedding(t)} for n, t in enumerate(texts)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}

    def respond(self, body):
        prompt = "\n".join(str(message["content"]) for message in body["input"])
        schema = body.get("text", {}).get("format", {}).get("name", "")
        text = json.dumps(answer(schema, prompt))
        print(f"{schema}: {text}", file=sys.stderr, flush=True)
        content = {"type": "output_text", "text": text, "annotations": []}
        message = {"type": "message", "id": "msg_1", "status": "completed", "role": "assistant", "content": [content]}
        details = {"cached_tokens": 0}, {"reasoning_tokens": 0}
        usage = {
            "input_tokens": 1,
            "output_tokens": 1,
            "total_tokens": 2,
            "input_tokens_details": details[0],
            "output_tokens_details": details[1],
        }
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 0,
            "status": "completed",
            "model": body["model"],
            "output": [message],
            "parallel_tool_calls": False,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
        }

    def reply(self, body):
        text = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Model)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    sys.stdin.read()
