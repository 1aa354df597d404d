/** What this process must clean up however it ends, the newest first. */
const cleanups = new Set();
let isWatching = false;

/**
 * Runs `clean` once: when the returned function is called, or when this process ends, also by Ctrl-C or SIGTERM. It must be
 * synchronous.
 */
export function cleanUp(clean) {
  watch();
  cleanups.add(clean);
  return () => {
    if (cleanups.delete(clean)) clean();
  };
}

function watch() {
  if (isWatching) return;
  isWatching = true;
  for (const [signal, code] of Object.entries({ SIGINT: 130, SIGTERM: 143, SIGHUP: 129 }))
    process.on(signal, () => process.exit(code)); // `on`, not `once`: a second signal would end it during the clean-up
  process.on('exit', () => {
    for (const clean of [...cleanups].reverse()) {
      try {
        clean();
      } catch (error) {
        console.error(error); // the others still run
      }
    }
  });
}
