export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** Makes one JSON request; does not throw on an error status. */
export type Call = <T>(method: string, path: string, body?: unknown) => Promise<Answer<T>>;

/** A client for an HTTP API with a bearer token, as a user's own script would have. */
export function createCaller(baseUrl: string, token: string, signal: AbortSignal): Call {
  return async <T>(method: string, path: string, body?: unknown): Promise<Answer<T>> => {
    const response = await fetch(baseUrl + path, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal,
    });
    return { status: response.status, body: (await response.json()) as T };
  };
}

/** The body of a successful answer. @throws Error for an error status, because the demo cannot continue */
export async function bodyOf<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { status, body } = await answer;
  if (status >= 300) throw new Error(`A request of the demo failed with ${status}: ${JSON.stringify(body)}`);
  return body;
}
