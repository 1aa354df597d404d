import { BaseSequencer } from 'vitest/node';
import type { TestSpecification } from 'vitest/node';

/** Each takes half a minute or more on two cores. */
const LONGEST = [
  'store/postgres.test.ts',
  'quick-start.test.ts',
  'chaos.test.ts',
  'chaos-postgres.test.ts',
  'store/sqlite.test.ts',
  'process.test.ts',
  'scenarios.test.ts',
];

/** Starts the longest files first: otherwise one worker runs the last of them while the other has nothing left to do. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const others = await super.sort(files);
    const longest = LONGEST.flatMap((name) => others.filter(({ moduleId }) => moduleId.endsWith(`/test/${name}`)));
    return [...longest, ...others.filter((file) => !longest.includes(file))];
  }
}
