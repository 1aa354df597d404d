/** The most characters of a value that an error repeats. */
export const LONGEST_QUOTED = 80;

/** A text as an error repeats it: in quotes, shortened, without the credentials of a URL. */
export function quoted(text: string): string {
  const open = text.replace(/\/\/[^/@\s]*@/, '//***@');
  return JSON.stringify(open.length > LONGEST_QUOTED ? `${open.slice(0, LONGEST_QUOTED)}…` : open);
}
