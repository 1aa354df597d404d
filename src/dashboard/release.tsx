import { useSignal } from '@preact/signals';
import type { Item, Release } from '../contract/items.js';
import type { ReleaseSurvey } from '../contract/jobs.js';
import { path, post } from './api.js';
import { VerdictBadge } from './badge.js';
import { Dialog } from './dialog.js';
import { Check, Form } from './form.js';
import { TargetLink } from './links.js';
import { useLoad } from './loading.js';
import { announce, ProblemNotice } from './notice.js';

type Released = Pick<Item, 'id' | 'channel' | 'message_id' | 'verdict' | 'rule' | 'reason' | 'event'>;

interface ReleaseProps {
  readonly item: Released;
  readonly onClose: () => void;
  readonly onDone: () => void;
}

/** Releases one held item: shows first which targets would get it, and which have it already. */
export function ReleaseDialog({ item, onClose, onDone }: ReleaseProps) {
  const chosen = useSignal<readonly string[] | null>(null);
  const { value: survey, error } = useLoad(`release ${item.id}`, async () => await surveyOf(item));
  const send = async (): Promise<void> => {
    const body = chosen.value === null ? {} : { targets: chosen.value };
    const { deliveries } = await post<Release>(path('v1/items', item.id, 'release'), body);
    announce(`Released: ${deliveries.length} ${deliveries.length === 1 ? 'delivery' : 'deliveries'} queued.`);
    onDone();
    onClose();
  };
  return (
    <Dialog title="Release a held item" onClose={onClose}>
      <p class="break">
        <code>{item.message_id ?? item.id}</code>
      </p>
      <p>
        <VerdictBadge verdict={item.verdict} rule={item.rule} /> {item.reason}
      </p>
      <ProblemNotice error={error} />
      <Form label="Release" action="Release" onSubmit={send} onCancel={onClose}>
        {survey && <Preview survey={survey} onChoose={(ids) => (chosen.value = ids)} />}
        <p class="dim">It is sent whatever its age, after the pending deliveries of its chat.</p>
      </Form>
    </Dialog>
  );
}

/** Only a message can be surveyed alone: the filter has no item id. */
async function surveyOf({ message_id: messageId, channel, verdict }: Released): Promise<ReleaseSurvey | null> {
  if (messageId === null) return null;
  return await post<ReleaseSurvey>('v1/items/release', { channel, message_id: messageId, verdict, dry_run: true });
}

interface PreviewProps {
  readonly survey: ReleaseSurvey;
  readonly onChoose: (targets: readonly string[] | null) => void;
}

function Preview({ survey, onChoose }: PreviewProps) {
  const goes = Object.keys(survey.by_target);
  const chosen = useSignal(new Set(goes));
  const toggle = (id: string, on: boolean): void => {
    if (on) chosen.value.add(id);
    else chosen.value.delete(id);
    onChoose(chosen.value.size === goes.length || chosen.value.size === 0 ? null : [...chosen.value]);
  };
  return (
    <ul class="plain-list">
      {goes.map((id) => (
        <li key={id}>
          <Check
            name="target"
            value={id}
            checked
            onChange={(on) => toggle(id, on)}
            label={
              <>
                goes to <TargetLink id={id} />
              </>
            }
          />
        </li>
      ))}
      {Object.keys(survey.already_sent).map((id) => (
        <li key={id} class="dim">
          <TargetLink id={id} /> was sent it already
        </li>
      ))}
      {goes.length === 0 && <li>Nothing would be sent to any target.</li>}
    </ul>
  );
}
