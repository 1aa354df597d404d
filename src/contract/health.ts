import { Type } from 'typebox';

export const HealthSchema = Type.Object(
  { status: Type.Literal('ok') },
  { $id: 'Health', description: 'The process is alive.' },
);

export const ReadinessSchema = Type.Object(
  { status: Type.Literal('ready') },
  { $id: 'Readiness', description: 'The store takes writes.' },
);
