/** What a component learns when it has to stop. */
export interface Stopping {
  /** How long work under way may take. What is left after that is cut off. */
  readonly graceMs: number;
  /** Resolves once the named component of the same stage has stopped; at once if it was never started. */
  stopped(name: string): Promise<void>;
}

interface Component {
  readonly name: string;
  readonly stop: (stopping: Stopping) => Promise<void>;
}

/**
 * The running parts of a process, in start order. They stop in reverse: stage by stage, the last one first. Components
 * of one stage stop at the same time, so that they share the grace period instead of adding theirs up.
 */
export class Components {
  readonly #stages: Component[][] = [[]];

  /** Registers a component that was just started and returns it. `stop` defaults to its own `stop(graceMs)`. */
  add<T extends { stop(graceMs: number): Promise<void> }>(name: string, component: T): T;
  add<T>(name: string, component: T, stop: (component: T, stopping: Stopping) => Promise<void>): T;
  add<T extends { stop?(graceMs: number): Promise<void> }>(
    name: string,
    component: T,
    stop = async (each: T, { graceMs }: Stopping): Promise<void> => await each.stop?.(graceMs),
  ): T {
    this.#stages.at(-1)?.push({ name, stop: async (stopping) => await stop(component, stopping) });
    return component;
  }

  /** Components that are added from now on depend on those added so far, so they stop before them. */
  nextStage(): void {
    this.#stages.push([]);
  }

  /** Stops everything, even if one component fails to stop. Rejects with the first failure. */
  async stop(graceMs: number): Promise<void> {
    const failures: unknown[] = [];
    for (let stage = this.#stages.pop(); stage !== undefined; stage = this.#stages.pop()) {
      failures.push(...(await stopTogether(stage, graceMs)));
    }
    if (failures.length > 0) throw failures[0];
  }
}

/** Stops the components of a stage in reverse start order, without waiting in between. Returns what went wrong. */
async function stopTogether(stage: readonly Component[], graceMs: number): Promise<unknown[]> {
  const running = new Map<string, Promise<void>>();
  const stopped = async (name: string): Promise<void> => await running.get(name);
  for (const { name, stop } of stage.toReversed()) running.set(name, stop({ graceMs, stopped }));
  const results = await Promise.allSettled(running.values());
  return results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []));
}
