/** The most characters of a value that an error repeats. */
export const LONGEST_QUOTED = 80;

/** A text as an error repeats it: in quotes, shortened, and without credentials or anything that looks like a secret. */
export function quoted(text: string): string {
  const open = withoutSecrets(text);
  return JSON.stringify(open.length > LONGEST_QUOTED ? `${open.slice(0, LONGEST_QUOTED)}…` : open);
}

/** What is left of a secret in an error, a log line or an answer. */
export const MASK = '***';
const CREDENTIALS = /\/\/[^/@\s]*@/g;
/** What follows is a secret, even if it is malformed. */
const MARKED = /(whsec_|\bBearer\s+|\bBasic\s+)[^\s"',;&]+/gi;
const NAMED = /\b((?:[\w-]*[_-])?(?:token|secret|password|api_?key)=)[^\s"',;&#]+/gi;
const RUN = /[A-Za-z0-9_+=~-]{20,}/g;
const BASE64 = /^[A-Za-z0-9+/]{20,}={0,2}$/;

/** Masks the credentials of URLs, and anything that has the mark or the shape of a token, a key or a secret. */
export function withoutSecrets(text: string): string {
  const unmarked = text.replace(CREDENTIALS, `//${MASK}@`).replace(MARKED, `$1${MASK}`).replace(NAMED, `$1${MASK}`);
  if (BASE64.test(unmarked) && isRandom(unmarked)) return MASK;
  return unmarked.replace(RUN, (run) => (isRandom(run) ? MASK : run));
}

/** The ids that the gateway makes, such as `tgt_01j…`. */
const OWN_ID = /^[a-z]{3}_[\w-]{20}$/;
const LEAST_CHANGES = 5;

/** Whether letters and digits alternate as they do in random text. Words, names and numbers have few such changes. */
function isRandom(run: string): boolean {
  if (!/\d/.test(run) || OWN_ID.test(run)) return false;
  const kinds = Array.from(run.replace(/[^A-Za-z0-9]/g, ''), (letter) =>
    /\d/.test(letter) ? 0 : letter < 'a' ? 1 : 2,
  );
  return kinds.filter((kind, index) => index > 0 && kind !== kinds[index - 1]).length >= LEAST_CHANGES;
}
