// Client of the admin API. The token is kept here and nowhere else.

/** Longer than the server's own limits: ten seconds, or a minute for a catalog. */
const PATIENCE_MS = 15_000;
const CATALOG_PATIENCE_MS = 70_000;

/** A problem that the API reported, or a failed connection. */
export class Problem extends Error {
  constructor(status, title, detail) {
    super(detail ? `${title}: ${detail}` : title);
    this.status = status;
  }
}

/** The operator has signed out; the answer no longer matters. */
export class SignedOut extends Error {}

export class Session {
  #token;
  #end = new AbortController();
  /** Called when the server refuses the token. */
  onrefused = () => {};

  constructor(token) {
    this.#token = token;
  }

  /** Forgets the token and aborts all requests in progress. */
  end() {
    this.#token = "";
    this.#end.abort();
  }

  /** Sends a request; returns the answer's JSON, or null. A `File` is sent unchanged. */
  async ask(method, path, body) {
    const isFile = body instanceof Blob;
    const patience = AbortSignal.timeout(isFile ? CATALOG_PATIENCE_MS : PATIENCE_MS);
    const headers = { Authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers["Content-Type"] = isFile ? "text/plain" : "application/json";
    try {
      const answer = await fetch(`/admin/v1/${path}`, {
        method, headers, body: body === undefined || isFile ? body : JSON.stringify(body),
        signal: AbortSignal.any([patience, this.#end.signal]),
        cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer",
      });
      return await this.#read(answer);
    } catch (fault) {
      if (this.#end.signal.aborted) throw new SignedOut();
      if (fault instanceof Problem) throw fault;
      const why = patience.aborted ? "the server took too long" : "the server can’t be reached";
      throw new Problem(0, "No answer", why);
    }
  }

  async #read(answer) {
    const isJson = /json/.test(answer.headers.get("Content-Type"));
    const said = isJson ? await answer.json().catch(() => null) : null;
    if (answer.ok) return said;
    const problem = new Problem(answer.status, said?.title ?? `Status ${answer.status}`, said?.detail);
    if (answer.status === 401) this.onrefused(problem);
    throw problem;
  }
}
