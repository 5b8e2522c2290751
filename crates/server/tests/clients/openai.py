"""The official OpenAI client for Python, unchanged, against a server that runs.

Everything it needs is in the environment: URL, KEY, PROJECT. It exits with 0 when all held.
"""

import json
import os
import signal
import urllib.request

import openai

# A guard against a hang, which no end of a session may be.
GUARD_S = 120

URL, KEY, PROJECT = (os.environ[name] for name in ("URL", "KEY", "PROJECT"))
BASE = f"{URL}/v1/projects/{PROJECT}"
LOOK = {
    "type": "function",
    "function": {
        "name": "look_up",
        "description": "Looks an order up.",
        "parameters": {"type": "object", "properties": {"order": {"type": "integer"}}},
    },
}


def client(session=None, key=KEY, retries=0):
    headers = {"X-Session-ID": session} if session else {}
    return openai.OpenAI(base_url=BASE, api_key=key, default_headers=headers, max_retries=retries)


def user(text):
    return {"role": "user", "content": text}


def results(calls):
    return [{"role": "tool", "tool_call_id": call.id, "content": "shipped"} for call in calls]


def end(session):
    body = json.dumps({"session_id": session}).encode()
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    request = urllib.request.Request(f"{BASE}/sessions", data=body, headers=headers, method="DELETE")
    with urllib.request.urlopen(request, timeout=GUARD_S) as answer:
        assert json.load(answer)["success"] is True


def plain():
    raw = client("py-plain").chat.completions.with_raw_response.create(
        model="any", messages=[user("hello")], user="ann@example.com"
    )
    assert raw.headers["x-session-id"] == "py-plain"
    completion = raw.parse()
    assert completion.id.startswith("chatcmpl-") and completion.model == "pathway-default"
    choice = completion.choices[0]
    assert (choice.message.content, choice.finish_reason) == ("You said: hello", "stop")
    assert completion.usage.total_tokens == -1 and completion.session_id == "py-plain"


def named_in_the_body():
    body = {"session_id": "caf\u00e9 \U0001f44b"}
    for _ in range(2):
        raw = client().chat.completions.with_raw_response.create(
            model="any", messages=[user("hello")], extra_body=body
        )
        assert raw.parse().session_id == body["session_id"]
        assert raw.headers["x-session-id"] == body["session_id"]
    made = client().chat.completions.create(model="any", messages=[user("hello")])
    assert made.session_id


def streaming():
    stream = client("py-stream").chat.completions.create(
        model="any", messages=[user("hello")], stream=True
    )
    assert stream.response.headers["x-session-id"] == "py-stream"
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "You said: hello", text
    assert all(chunk.session_id == "py-stream" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"
    with client("py-stream").chat.completions.stream(model="any", messages=[user("again")]) as told:
        completion = told.get_final_completion()
    assert completion.choices[0].message.content == "You said: again"


def tools():
    talk = client("py-tools").chat.completions
    asked = [user("both orders")]
    completion = talk.create(model="any", messages=asked, tools=[LOOK])
    choice = completion.choices[0]
    assert choice.finish_reason == "tool_calls" and choice.message.content is None
    calls = choice.message.tool_calls
    assert [json.loads(call.function.arguments) for call in calls] == [{"order": 7}, {"order": 8}]
    # The whole conversation goes back, as loops around this client send it.
    whole = asked + [choice.message.model_dump(exclude_none=True)] + results(calls)
    completion = talk.create(model="any", messages=whole, tools=[LOOK])
    assert completion.choices[0].message.content == "You said: both orders"


def streamed_tools():
    talk = client("py-streamed-tools").chat.completions
    with talk.stream(model="any", messages=[user("both orders")], tools=[LOOK]) as told:
        message = told.get_final_completion().choices[0].message
    assert [call.id for call in message.tool_calls] == ["call_1", "call_2"]
    assert all(call.function.name == "look_up" for call in message.tool_calls)
    stream = talk.create(
        model="any", messages=results(message.tool_calls), tools=[LOOK], stream=True
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "You said: both orders", text


def raises(kind, status, call):
    try:
        call()
    except kind as error:
        assert error.status_code == status, error
        return error
    raise AssertionError(f"{kind.__name__} was expected")


def errors():
    talk = client("py-errors").chat.completions
    for stream in (False, True):
        wrong = client("py-errors", key="wrong").chat.completions
        error = raises(
            openai.AuthenticationError,
            401,
            lambda: wrong.create(model="any", messages=[user("hello")], stream=stream),
        )
        assert "Invalid authentication" in str(error)
        error = raises(
            openai.BadRequestError,
            400,
            lambda: talk.create(model="any", messages=[], stream=stream),
        )
        # This API says what is wrong as a plain text.
        assert error.body == "messages must be a non-empty array", error.body
        raises(
            openai.InternalServerError,
            500,
            lambda: talk.create(model="any", messages=[user("refuse")], stream=stream),
        )
    # A client that tries again by itself doubles nothing.
    patient = client("py-errors", retries=1).chat.completions
    raises(
        openai.InternalServerError,
        500,
        lambda: patient.create(model="any", messages=[user("refuse")]),
    )
    heard = []
    try:
        for chunk in talk.create(model="any", messages=[user("cut")], stream=True):
            heard.append(chunk.choices[0].delta.content)
    except openai.APIError as error:
        assert "could not answer" in str(error), error
    else:
        raise AssertionError("a stream that breaks off was expected to raise")
    assert heard == ["Once "], heard


def end_in_mid_stream():
    stream = client("py-end").chat.completions.create(
        model="any", messages=[user("stall")], stream=True
    )
    chunks = []
    for chunk in stream:
        if not chunks:
            end("py-end")
        chunks.append(chunk)
    assert chunks[0].choices[0].delta.content == "Once "
    last = chunks[-1]
    assert last.choices[0].finish_reason == "stop" and last.session_ended is True


if __name__ == "__main__":
    signal.alarm(GUARD_S)
    for case in (
        plain,
        named_in_the_body,
        streaming,
        tools,
        streamed_tools,
        errors,
        end_in_mid_stream,
    ):
        case()
        print("held:", case.__name__, flush=True)
