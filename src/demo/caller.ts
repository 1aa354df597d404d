export interface Answer<T> {
  readonly status: number;
  readonly body: T;
}

/** One JSON request; any status is an answer. */
export type Call = <T>(method: string, path: string, body?: unknown) => Promise<Answer<T>>;

/** Speaks to an HTTP API that takes a bearer token, as a user's own script would. */
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

/** @throws Error where the answer is no success: the demo cannot go on then */
export async function bodyOf<T>(answer: Promise<Answer<T>>): Promise<T> {
  const { status, body } = await answer;
  if (status >= 300) throw new Error(`A request that must succeed was answered ${status}: ${JSON.stringify(body)}`);
  return body;
}
