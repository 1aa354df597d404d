import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import type { ReleaseSurvey, RetrySurvey, StartedJob } from '../contract/jobs.js';
import type { Verdict } from '../model.js';
import { post } from './api.js';
import type { QueryValues } from './api.js';
import { VerdictBadge } from './badge.js';
import { CurlButton } from './copy.js';
import { Dialog } from './dialog.js';
import { Check } from './form.js';
import { asApiError, useLoad } from './loading.js';
import { ProblemNotice } from './notice.js';
import { TargetLink } from './links.js';
import { JobBar } from './progress.js';
import type { ApiError } from './api.js';

type Survey = Pick<RetrySurvey, 'count' | 'by_target' | 'by_verdict'> &
  Partial<Pick<ReleaseSurvey, 'already_sent'>> & {
    readonly sample: readonly unknown[];
  };

interface BulkProps<S extends Survey> {
  /** Path of the bulk call. */
  readonly path: string;
  /** The filter of the list, exactly: what is listed is what is sent. */
  readonly filter: QueryValues;
  /** `Release`, `Retry`. */
  readonly verb: string;
  /** What is counted, in the plural: `held items`. */
  readonly things: string;
  /** Whether the call takes a choice of targets. */
  readonly choosesTargets?: boolean;
  readonly sample: (survey: S) => ComponentChildren;
  readonly onDone: () => void;
}

/** A button that does work on everything that the filter finds: count, sample, confirmation, progress, cancel. */
export function BulkButton<S extends Survey>(props: BulkProps<S>) {
  const open = useSignal(false);
  return (
    <>
      <button type="button" class="primary small" onClick={() => (open.value = true)}>
        {props.verb} all that match …
      </button>
      {open.value && <BulkDialog {...props} onClose={() => (open.value = false)} />}
    </>
  );
}

function BulkDialog<S extends Survey>(props: BulkProps<S> & { readonly onClose: () => void }) {
  const { verb, things, onClose, onDone } = props;
  const job = useSignal<StartedJob | null>(null);
  return (
    <Dialog title={`${verb} ${things}`} onClose={onClose} wide>
      {job.value === null ? (
        <Preview {...props} onStarted={(started) => (job.value = started)} />
      ) : (
        <>
          <JobBar id={job.value.id} onEnd={onDone} />
          <p class="actions">
            <button type="button" onClick={onClose}>
              Close
            </button>
          </p>
        </>
      )}
    </Dialog>
  );
}

type PreviewProps<S extends Survey> = BulkProps<S> & {
  readonly onClose: () => void;
  readonly onStarted: (job: StartedJob) => void;
};

/** What would be sent, to which targets; nothing is sent before the person confirms. */
function Preview<S extends Survey>({
  path,
  filter,
  verb,
  things,
  choosesTargets,
  sample,
  onClose,
  onStarted,
}: PreviewProps<S>) {
  const chosen = useSignal<readonly string[] | null>(null);
  const busy = useSignal(false);
  const failure = useSignal<ApiError | null>(null);
  const body = { ...filter, ...(chosen.value !== null && { targets: chosen.value }) };
  const key = `${path} ${JSON.stringify(body)}`;
  const all = useLoad(
    `${path} ${JSON.stringify(filter)}`,
    async () => await post<S>(path, { ...filter, dry_run: true }),
  );
  const survey = useLoad(key, async () => await post<S>(path, { ...body, dry_run: true }));
  const { value } = survey;
  if (value === null) return survey.error ? <ProblemNotice error={survey.error} /> : <p class="dim">Counting …</p>;
  const start = (): void => {
    busy.value = true;
    failure.value = null;
    post<StartedJob>(path, { ...body, expected_count: value.count })
      .then(onStarted, (error: unknown) => (failure.value = asApiError(error)))
      .finally(() => (busy.value = false));
  };
  return (
    <>
      <p class="big">
        <span class="num">{value.count.toLocaleString()}</span> {things}
      </p>
      <Routes
        survey={all.value ?? value}
        now={value}
        chosen={choosesTargets === true ? chosen.value : undefined}
        onChoose={(targets) => (chosen.value = targets)}
      />
      {value.sample.length > 0 && (
        <details open>
          <summary>The first {value.sample.length}</summary>
          {sample(value)}
        </details>
      )}
      <ProblemNotice error={failure.value} retry={survey.reload} />
      <p class="actions">
        <CurlButton method="POST" path={path} body={{ ...body, expected_count: value.count }} />
        <button type="button" onClick={onClose}>
          Cancel
        </button>
        <button type="button" class="primary" disabled={busy.value || value.count === 0} onClick={start}>
          {verb} {value.count.toLocaleString()}
        </button>
      </p>
    </>
  );
}

interface RoutesProps {
  /** For every target. */
  readonly survey: Survey;
  /** For the chosen targets. */
  readonly now: Survey;
  readonly chosen: readonly string[] | null | undefined;
  readonly onChoose: (targets: readonly string[] | null) => void;
}

/** How many go to which target, and with which verdicts. */
function Routes({ survey, now, chosen, onChoose }: RoutesProps) {
  const ids = Object.keys(survey.by_target);
  const toggle = (id: string, on: boolean): void => {
    const next = ids.filter((each) => (each === id ? on : (chosen ?? ids).includes(each)));
    onChoose(next.length === ids.length || next.length === 0 ? null : next);
  };
  return (
    <div class="columns">
      <div>
        <h3>To</h3>
        <ul class="plain-list">
          {ids.map((id) => (
            <li key={id}>
              {chosen !== undefined && ids.length > 1 ? (
                <Check
                  name="targets"
                  value={id}
                  checked
                  label={<TargetCount id={id} survey={survey} />}
                  onChange={(on) => toggle(id, on)}
                />
              ) : (
                <TargetCount id={id} survey={survey} />
              )}
            </li>
          ))}
          {Object.entries(survey.already_sent ?? {}).map(
            ([id, already]) =>
              !ids.includes(id) && (
                <li key={id} class="dim">
                  nothing to <TargetLink id={id} />: {already.toLocaleString()} it was sent already
                </li>
              ),
          )}
          {ids.length === 0 && <li class="dim">Nothing would be sent to any target.</li>}
        </ul>
      </div>
      <div>
        <h3>Verdicts</h3>
        <ul class="plain-list">
          {Object.entries(now.by_verdict).map(([verdict, count]) => (
            <li key={verdict}>
              <VerdictBadge verdict={verdict as Verdict} /> <span class="num">{count}</span>
            </li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function TargetCount({ id, survey }: { readonly id: string; readonly survey: Survey }) {
  const already = survey.already_sent?.[id] ?? 0;
  return (
    <span>
      <span class="num">{(survey.by_target[id] ?? 0).toLocaleString()}</span> to <TargetLink id={id} />
      {already > 0 && <span class="dim">, {already.toLocaleString()} it was sent already</span>}
    </span>
  );
}
