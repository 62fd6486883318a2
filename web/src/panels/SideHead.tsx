import type { ComponentChildren } from "preact";
import { Icon } from "../parts/Icon";
import { selection } from "../state";

/** The head of what is selected, with the way back to the list. */
export function SideHead({ children }: { children: ComponentChildren }) {
  return (
    <header class="side-head">
      <button type="button" class="button button-small" onClick={() => { selection.value = null; }}>
        <Icon name="back" />
        All traffic
      </button>
      {children}
    </header>
  );
}
