import { signal } from '@preact/signals';
import type { ComponentType } from 'preact';

/**
 * A page that is loaded when it is first opened, so that the first load stays small. After an update of the gateway its
 * file may be gone: then the whole page is loaded again.
 */
export function lazy(load: () => Promise<ComponentType>): ComponentType {
  const loaded = signal<ComponentType | null>(null);
  const failed = signal(false);
  let isLoading = false;
  const start = (): void => {
    if (isLoading) return;
    isLoading = true;
    load()
      .then(
        (page) => {
          loaded.value = page;
        },
        () => {
          failed.value = true;
        },
      )
      .finally(() => (isLoading = false));
  };
  return function LazyPage() {
    const Page = loaded.value;
    if (Page !== null) return <Page />;
    if (!failed.value) {
      start();
      return <p class="dim loading">Loading …</p>;
    }
    return (
      <div class="notice bad" role="alert">
        <p>This page could not be loaded. The gateway may have been updated.</p>
        <button type="button" onClick={() => location.reload()}>
          Reload
        </button>
      </div>
    );
  };
}
