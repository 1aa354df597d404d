import { describe, expect, it } from 'vitest';
import { Components } from '../src/components.js';

describe('components', () => {
  it('stop stage by stage in reverse, those of one stage together and the last one first', async () => {
    const { components, events, add } = recorded();
    add('store');
    components.nextStage();
    add('worker');
    add('server');
    await components.stop(8000);
    expect(events).toEqual([
      'server stopping',
      'worker stopping',
      'server 8000',
      'worker 8000',
      'store stopping',
      'store 8000',
    ]);
  });

  it('can wait for another component of their stage, and do not wait for one that was never started', async () => {
    const { components, events, add } = recorded();
    components.add('scheduler', {}, async (_, { stopped }) => {
      await stopped('server');
      await stopped('never started');
      events.push('scheduler stopped');
    });
    add('server');
    await components.stop(0);
    expect(events).toEqual(['server stopping', 'server 0', 'scheduler stopped']);
  });

  it('all stop although one fails, and the failure is reported', async () => {
    const { components, events, add } = recorded();
    add('store');
    components.nextStage();
    components.add('worker', {}, async () => await Promise.reject(new Error('stuck')));
    await expect(components.stop(0)).rejects.toThrow('stuck');
    expect(events).toEqual(['store stopping', 'store 0']);
  });
});

/** Components that note when they begin to stop and when they have stopped. */
function recorded() {
  const components = new Components();
  const events: string[] = [];
  const add = (name: string): void => {
    const stop = async (graceMs: number): Promise<void> => {
      events.push(`${name} stopping`);
      await Promise.resolve();
      events.push(`${name} ${graceMs}`);
    };
    components.add(name, { stop });
  };
  return { components, events, add };
}
