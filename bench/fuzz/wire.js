import { connect } from 'node:net';

/** The time after which a case without an answer counts as hung. */
const ANSWER_WITHIN_MS = 60_000;

/** Sends raw bytes over one connection after the other. It is not a client: it reads only the status of an answer. */
export class Wire {
  #port;
  #host;
  #socket = null;

  constructor(url) {
    const { hostname, port } = new URL(url);
    this.#host = hostname;
    this.#port = Number(port);
  }

  /** The status of the answer, 'closed' if the connection ended without one, 'hung' if nothing came. */
  async send({ method, bytes, isLast }) {
    const socket = (this.#socket ??= connect(this.#port, this.#host));
    const outcome = await new Promise((resolve) => {
      let received = Buffer.alloc(0);
      const onData = (chunk) => {
        received = Buffer.concat([received, chunk]);
        const answer = readAnswer(received, method === 'HEAD');
        if (answer) done(answer);
      };
      const onEnd = () => done({ status: 'closed', isOver: true });
      const timer = setTimeout(() => done({ status: 'hung', isOver: true }), ANSWER_WITHIN_MS);
      const done = (result) => {
        clearTimeout(timer);
        socket.off('data', onData).off('close', onEnd).off('error', onEnd);
        resolve(result);
      };
      socket.on('data', onData).on('close', onEnd).on('error', onEnd);
      socket.write(bytes);
      // An incomplete request waits for more, which never comes.
      if (isLast) setTimeout(() => socket.end(), 5);
    });
    if (isLast || outcome.isOver) this.close();
    return outcome.status;
  }

  close() {
    this.#socket?.on('error', () => undefined).destroy();
    this.#socket = null;
  }
}

/** Null until the answer is complete. `isOver` means that the server closes the connection after it. */
function readAnswer(bytes, isHead) {
  const text = bytes.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const head = text.slice(0, end + 2);
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1]);
  if (status === 100) return readAnswer(bytes.subarray(end + 4), isHead);
  const length = Number(/\r\ncontent-length: *(\d+)\r\n/i.exec(head)?.[1] ?? NaN);
  const isOver = Number.isNaN(length) || /\r\nconnection: close\r\n/i.test(head);
  if (!isHead && bytes.length < end + 4 + (length || 0)) return null;
  return { status, isOver };
}
