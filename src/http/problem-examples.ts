import { STATUS_CODES } from 'node:http';
import { MEANING_OF } from '../contract/error-codes.js';
import type { Problem } from '../contract/problem.js';
import type { WhapiError } from '../contract/whapi.js';
import { STATUS_OF } from '../errors.js';
import type { GatewayErrorCode } from '../errors.js';

/** An error with this code, as `/v1` answers it. */
export function problemExample(code: GatewayErrorCode): Problem {
  const status = STATUS_OF[code];
  const errors = code === 'GW_BAD_REQUEST' ? [{ path: '/name', message: 'is missing' }] : undefined;
  return { title: STATUS_CODES[status] ?? 'Error', status, detail: MEANING_OF[code], code, ...(errors && { errors }) };
}

/** The same as `/whapi` answers it. */
export function whapiErrorExample(code: GatewayErrorCode): WhapiError {
  return { error: { code: STATUS_OF[code], message: MEANING_OF[code], details: code } };
}
