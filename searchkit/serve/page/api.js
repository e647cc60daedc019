// What the server is asked. All that comes back is data: it is shown as text, never as HTML.

const TOKEN = "searchkit.token";

/** An answer of the server that is not what was asked for. */
export class Refused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

let askForToken = async () => null;
let asking = null; // several requests refused at once ask one person once

/** Tell how a person is asked for the token: (whether one was refused) => token, or null. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

/** Fetch a path of the server; a person is asked for the token where one is needed. */
async function send(path, { body, signal } = {}) {
  for (;;) {
    const token = sessionStorage.getItem(TOKEN);
    const headers = {};
    if (body !== undefined) headers["Content-Type"] = "application/json";
    if (token) headers.Authorization = `Bearer ${token}`;
    let response;
    try {
      response = await fetch(new URL(path, document.baseURI), {
        method: body === undefined ? "GET" : "POST",
        body: body === undefined ? undefined : JSON.stringify(body),
        headers,
        signal,
        cache: "no-store",
        redirect: "error",
      });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, "the server does not answer; start it again with: searchkit serve");
    }
    if (response.ok) return response;
    if (response.status !== 401) throw new Refused(response.status, await reason(response));
    if (sessionStorage.getItem(TOKEN) !== token) continue; // given while this was on its way
    asking ??= askForToken(token !== null).finally(() => (asking = null));
    const given = await asking;
    if (!given)
      throw new Refused(401, "the server asks for a token; load the page again to give it");
    sessionStorage.setItem(TOKEN, given);
  }
}

async function reason(response) {
  try {
    return String((await response.json()).error.message);
  } catch {
    return `the server refused this (${response.status})`;
  }
}

const of = (index) => `api/indexes/${encodeURIComponent(index)}`;
const query = (fields) => new URLSearchParams(fields).toString();

/** An answer in JSON; `generation` is that of the index that was read. */
async function json(path, options) {
  const response = await send(path, options);
  const answer = await response.json();
  const generation = response.headers.get("X-Index-Generation");
  return generation === null ? answer : { generation, ...answer };
}

export const indexes = async () => (await json("api/indexes")).indexes;
export const search = (index, body, signal) => json(`${of(index)}/search`, { body, signal });
export const span = (index, id, start, end, signal) =>
  json(`${of(index)}/span?${query({ id, start, end })}`, { signal });
export const passages = async (index, id, q, signal) =>
  (await json(`${of(index)}/passages?${query({ id, q })}`, { signal })).results;
export const judgements = async (index) => (await json(`${of(index)}/judgements`)).judgements;
export const judge = (index, body) => json(`${of(index)}/judgements`, { body });

/** The events of an answer as they come: {event, data}. */
export async function* ask(index, body, signal) {
  const response = await send(`${of(index)}/ask`, { body, signal });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (buffer + value).replaceAll("\r\n", "\n").split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

/** One block of an event stream; null where it is a comment. */
function parsed(block) {
  let event = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line);
    if (name === "event") event = value;
    if (name === "data") data.push(value);
  }
  return data.length ? { event, data: JSON.parse(data.join("\n")) } : null;
}
