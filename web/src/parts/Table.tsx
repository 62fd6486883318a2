import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

export interface Column<Row> {
  title: string;
  cell: (row: Row) => ComponentChildren;
  className?: string;
}

interface TableProps<Row> {
  caption: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  rowKey: (row: Row) => string;
  /** What the filter looks in; without it there is no filter. */
  text?: (row: Row) => string;
  empty: ComponentChildren;
}

const MOST_ROWS = 300;
const FILTER_FROM = 8;

/** A table that can be filtered, and that stays quick when there are many thousands of rows. */
export function Table<Row>({ caption, rows, columns, rowKey, text, empty }: TableProps<Row>) {
  const [filter, setFilter] = useState("");
  const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
  const found = text && words.length > 0 ? rows.filter((row) => words.every((word) => text(row).toLowerCase().includes(word))) : rows;
  const shown = found.slice(0, MOST_ROWS);
  return (
    <div class="table-box">
      {text && rows.length >= FILTER_FROM ? (
        <div class="table-tools">
          <input
            type="search"
            class="input"
            placeholder="Filter"
            aria-label={`Filter: ${caption}`}
            value={filter}
            onInput={(event) => setFilter(event.currentTarget.value)}
          />
          <span class="muted" role="status">{words.length > 0 ? `${found.length} of ${rows.length}` : `${rows.length}`}</span>
        </div>
      ) : null}
      {shown.length === 0 ? (
        <div class="empty empty-small">{rows.length > 0 ? `Nothing matches “${filter}”.` : empty}</div>
      ) : (
        <div class="table-scroll" tabIndex={0} role="region" aria-label={caption}>
          <table class="table">
            <caption class="hidden">{caption}</caption>
            <thead>
              <tr>{columns.map((column) => <th key={column.title} scope="col" class={column.className}>{column.title}</th>)}</tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <tr key={rowKey(row)}>
                  {columns.map((column) => <td key={column.title} class={column.className}>{column.cell(row)}</td>)}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {found.length > shown.length ? <p class="muted table-more">{`The first ${shown.length} of ${found.length}; filter to see others.`}</p> : null}
    </div>
  );
}
