import type { Channel, NewChannel } from '../contract/channels.js';
import { Check, Field, numberOrNull, Select } from './form.js';
import type { Values } from './form.js';

/** The settings of a channel as a form, and back. Without a channel: a new one. */
export function ChannelFields({ channel }: { readonly channel?: Channel }) {
  return (
    <>
      <div class="fields">
        {channel === undefined && (
          <Field name="name" label="Name" required placeholder="shop" hint='Lower-case letters, digits and "-"' />
        )}
        <Field
          name="whapi_token"
          label="Whapi token"
          type="password"
          required={channel === undefined}
          hint={channel === undefined ? "From the channel's page in Whapi's panel" : 'Empty: stays as it is'}
        />
      </div>
      <details>
        <summary>More settings</summary>
        <div class="fields">
          <Field
            name="whapi_base_url"
            label="Base URL of Whapi"
            value={channel?.whapi_base_url}
            placeholder="https://gate.whapi.cloud"
          />
          <Field
            name="late_after_seconds"
            label="Late after, seconds"
            type="number"
            value={channel?.late_after_seconds}
            placeholder="900"
          />
          <Field
            name="resync_spacing_ms"
            label="Pause between calls, ms"
            type="number"
            value={channel?.resync_spacing_ms}
            hint="Empty: one second"
          />
          <Field
            name="daily_call_budget"
            label="Calls to Whapi a day"
            type="number"
            value={channel?.daily_call_budget}
            hint="Of the gateway's own. Empty: no limit"
          />
          <Select
            name="on_replay"
            label="Unrequested old messages"
            options={[
              { value: 'deliver', text: 'deliver' },
              { value: 'hold', text: 'hold' },
            ]}
            value={channel?.on_replay ?? 'deliver'}
            hint="Where many arrive within a minute: a replay"
          />
          <Field
            name="replay_after_seconds"
            label="Old after, seconds"
            type="number"
            value={channel?.replay_after_seconds}
            placeholder="432000"
          />
          <Field
            name="replay_messages"
            label="Old messages a minute that are a replay"
            type="number"
            value={channel?.replay_messages}
            placeholder="20"
          />
        </div>
        <Check
          name="auto_resync"
          checked={channel?.auto_resync ?? false}
          label="Resync a message that a call to /whapi does not find"
        />
      </details>
    </>
  );
}

/** The body of a request from the fields. `isNew` takes the name as well. */
export function channelOf(values: Values, isNew: boolean): Partial<NewChannel> {
  const { name = '', whapi_token: token = '', whapi_base_url: url = '', late_after_seconds: late = '' } = values;
  return {
    ...(isNew && { name: name.trim() }),
    ...(token.trim() !== '' && { whapi_token: token.trim() }),
    ...(url.trim() !== '' && { whapi_base_url: url.trim() }),
    ...(late.trim() !== '' && { late_after_seconds: Number(late) }),
    resync_spacing_ms: numberOrNull(values['resync_spacing_ms']),
    daily_call_budget: numberOrNull(values['daily_call_budget']),
    auto_resync: values['auto_resync'] === 'on',
    on_replay: values['on_replay'] === 'hold' ? 'hold' : 'deliver',
    ...numberAt(values, 'replay_after_seconds'),
    ...numberAt(values, 'replay_messages'),
  };
}

/** A field that keeps its value, or its default, when it is left empty. */
function numberAt(values: Values, name: 'replay_after_seconds' | 'replay_messages'): Partial<NewChannel> {
  const number = numberOrNull(values[name]);
  return number === null ? {} : { [name]: number };
}
