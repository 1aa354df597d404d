import type { Channel, NewChannel } from '../contract/channels.js';
import { Check, Field, numberOrNull } from './form.js';
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
  };
}
