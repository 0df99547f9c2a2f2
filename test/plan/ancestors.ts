import { type Canvas, chain, chord, group, type StepCanvas } from '../../src/plan/canvas.ts';

/**
 * The two graphs of OVHcloud's article "Doing big automation with Celery", by which Dyrygent is explained.
 * `make` gives the next step; ids are the caller's.
 */
export function ancestorGraphs(make: () => StepCanvas): { readonly of57: Canvas; readonly of23: Canvas } {
  const many = (count: number) => Array.from({ length: count }, make);
  const of57 = chain(make(), ...Array.from({ length: 5 }, () => chord(many(10), make())), make());
  const nested = group([group(many(5)), chain(...many(5))]);
  const left = chain(nested, make(), group(many(5)), make());
  const of23 = chord([left, chain(...many(5))], make());
  return { of57, of23 };
}
