import { signal } from '@preact/signals';
import type { Channel } from '../contract/channels.js';
import type { Target } from '../contract/targets.js';
import { all } from './loading.js';

/** The channels and targets, which many pages name and filter by. Pages that change them load them again. */
export const channels = signal<readonly Channel[] | null>(null);
export const targets = signal<readonly Target[] | null>(null);

export async function loadChannels(): Promise<readonly Channel[]> {
  return (channels.value = await all<Channel>('v1/channels'));
}

export async function loadTargets(): Promise<readonly Target[]> {
  return (targets.value = await all<Target>('v1/targets'));
}

/** The name of a target. One that was removed has none: its id is shown. */
export const targetName = (id: string): string => targets.value?.find((target) => target.id === id)?.name ?? id;
