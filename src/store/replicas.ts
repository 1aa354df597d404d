/** The gateway processes that share the store. */
export interface Replicas {
  /**
   * How many are alive, this one included: at least 1. Reads nothing. A process that starts or ends is noticed a few seconds
   * later, so a limit that is divided by this number is approximate until then.
   */
  alive(): number;
}
