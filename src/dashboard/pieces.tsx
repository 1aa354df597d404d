import type { Piece } from '../contract/explained-words.js';
import { Status } from './badge.js';
import { IdLink } from './links.js';
import { Time } from './time.js';

/** A sentence of an explanation, with its times and links. */
export function Pieces({ pieces }: { readonly pieces: readonly Piece[] }) {
  return (
    <>
      {pieces.map((piece, index) => (
        // The pieces of a sentence have no other name than their place.
        <OnePiece key={String(index)} piece={piece} />
      ))}
    </>
  );
}

function OnePiece({ piece }: { readonly piece: Piece }) {
  if (typeof piece === 'string') return <>{piece}</>;
  if ('at' in piece) return <Time at={piece.at} none={piece.none ?? '–'} />;
  if ('status' in piece) return <Status status={piece.status} />;
  return <IdLink page={piece.page} id={piece.id} />;
}
