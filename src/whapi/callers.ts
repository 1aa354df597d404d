/** Who makes a call to Whapi: a resync run, an audit or seeding, a client through `/whapi`, a person, a probe. */
export type Caller = 'run' | 'audit' | 'client' | 'connect' | 'doctor' | 'probe';

export interface CallUnderWay {
  readonly by: Caller;
  readonly since: number;
  /** When it is aborted at the latest. */
  readonly until: number;
}

const LABELS: Readonly<Record<Caller, string>> = {
  run: 'a resync run',
  audit: 'an audit or a seeding',
  client: "a client's own resync through /whapi",
  connect: 'connect or disconnect',
  doctor: 'the doctor',
  probe: 'a probe',
};

/** What to call the caller in a message. */
export function callerLabel(by: Caller): string {
  return LABELS[by];
}
