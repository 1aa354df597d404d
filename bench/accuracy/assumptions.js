/**
 * What the generated month assumes about one busy number. `one_in` figures are chances; ranges are drawn evenly, unless
 * stated otherwise. docs/accuracy.md explains them.
 */
export const ASSUMPTIONS = {
  customers: 400,
  messages_per_day: 700,
  active_hours_utc: [7, 22],
  messages_per_conversation: [1, 6],
  // How messages come.
  ordinary_delay_seconds: [1, 5],
  channel_offline: { times: 5, hours: [2, 14] },
  short_reconnects: { per_day: 2, minutes: [1, 3] },
  burst: { messages_per_webhook: [1, 20], seconds: 90 },
  straggler: { one_in: 300, hours: [0.3, 40] }, // evenly on a logarithmic scale
  never_sent_by_whapi: { one_in: 200 },
  placeholder_first: { one_in: 100, seconds: [2, 600], hours_later: { one_in: 10, hours: [1, 20] } },
  put_before_post: { one_in: 80, seconds: [0.5, 2] },
  edit: { one_in: 60, seconds: [30, 600] },
  revision_by_put: { one_in: 60, seconds: [30, 600] },
  polls: { per_day: 1, votes: [5, 30], hours: 6 },
  // Who answers besides the bot.
  person_answers: { conversations: 0.3, while_channel_or_bot_is_down: 0.6, minutes: [1, 40] },
  // What goes wrong between the senders and the receivers.
  answer_to_whapi_lost: { one_in: 80, in_trouble: 0.5 },
  network_trouble: { times: 3, minutes: [10, 80] },
  bot_takes_over_5_seconds: { one_in: 150 },
  bot_takes_over_30_seconds: { one_in: 3000 },
  bot_restarts: { times: 12, minutes: [0.5, 3] },
  bot_outages: { times: 4, hours: [1, 5] },
  gateway_restarts: { times: 4, minutes: [0.3, 1] },
  whapi_retry: { step_seconds: 5, longest_seconds: 900 }, // the pause grows by a step with each failure
  // What is brought back.
  resyncs: { single_per_day: 4, batches: { times: 4, ids: 150 } },
  resynced: { delivered_this_month: 0.35, never_sent_this_month: 0.25 }, // the others are up to a year older
  resynced_at_least_days_old: 1,
  call_seconds: 16, // one call at a time
  restored_after: { seconds: [20, 480], hours_later: { one_in: 10, hours: [1, 30] } },
  restored_twice: { one_in: 8, hours: [0.02, 20] },
  restored_after_the_window: { one_in: 100, days: [4, 6] },
  restored_under_lid: { one_in: 10 },
};
