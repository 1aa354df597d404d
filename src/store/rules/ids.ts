import { badCursor } from '../../errors.js';

const DIGITS = 11;

/** The public form of a delivery's id, which is also its `webhook-id`. */
export function deliveryId(id: number): string {
  return `dlv_${encodeNumber(id)}`;
}

/** The number behind a public delivery id; null: not a valid id. */
export function parseDeliveryId(id: string): number | null {
  return id.startsWith('dlv_') ? decodeNumber(id.slice(4)) : null;
}

/** The public form of a job's number. */
export function jobId(number: number): string {
  return `job_${encodeNumber(number)}`;
}

/** The number behind a public job id; null: not a valid id. */
export function parseJobId(id: string): number | null {
  return id.startsWith('job_') ? decodeNumber(id.slice(4)) : null;
}

/** The number behind the public id of a webhook; null: not a valid id. */
export function parseWebhookId(id: string): number | null {
  return decodeNumber(id);
}

/** The place of an item: its webhook, and its index among the webhook's items, from 0. */
export interface ItemPlace {
  readonly webhookId: number;
  readonly position: number;
}

/** The public form of an item's place. */
export function itemId({ webhookId, position }: ItemPlace): string {
  return `itm_${encodeNumber(webhookId)}_${position}`;
}

/** The place behind a public item id; null: not a valid id. */
export function parseItemId(id: string): ItemPlace | null {
  const [, number = '', position = ''] = /^itm_([0-9a-z]{11})_(0|[1-9][0-9]{0,6})$/.exec(id) ?? [];
  const webhookId = decodeNumber(number);
  return webhookId === null ? null : { webhookId, position: Number(position) };
}

/** A number as 11 digits to the base 36, whose order is that of the numbers. */
export function encodeNumber(id: number): string {
  return id.toString(36).padStart(DIGITS, '0');
}

function decodeNumber(text: string): number | null {
  if (!/^[0-9a-z]{11}$/.test(text)) return null;
  const number = parseInt(text, 36);
  return Number.isSafeInteger(number) ? number : null;
}

/** Encodes a cursor, opaque to clients: the numbers of the last row of a page. */
export function encodeCursor(...numbers: number[]): string {
  return Buffer.from(JSON.stringify(numbers)).toString('base64url');
}

/** @throws GatewayError GW_BAD_REQUEST */
export function decodeCursor(cursor: string, length: number): number[] {
  try {
    const numbers: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8'));
    if (Array.isArray(numbers) && numbers.length === length && numbers.every(Number.isSafeInteger)) {
      return numbers as number[];
    }
  } catch {
    // Not a cursor of ours: thrown below.
  }
  throw badCursor();
}
