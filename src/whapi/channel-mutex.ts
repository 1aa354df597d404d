/** Turns at calling Whapi, one holder at a time per channel; those who wait are served in the order in which they came. */
export interface ChannelMutex {
  /** Does `work` when the channel's turn has come; gives what it gives. */
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
