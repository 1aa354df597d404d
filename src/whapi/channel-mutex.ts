/** FIFO mutex per channel: one call to Whapi in flight. */
export interface ChannelMutex {
  /** Runs `work` once the channel is free. Resolves with its result. */
  run<T>(channel: string, work: () => Promise<T>): Promise<T>;
}

export function createChannelMutex(): ChannelMutex {
  const last = new Map<string, Promise<unknown>>();
  return {
    run: async (channel, work) => {
      const turn = (last.get(channel) ?? Promise.resolve()).then(work);
      const ended = turn.then(
        () => undefined,
        () => undefined,
      );
      last.set(channel, ended);
      void ended.then(() => {
        if (last.get(channel) === ended) last.delete(channel);
      });
      return await turn;
    },
  };
}
