/** The figures at the top of the page. */

import type { MeshView } from "./model";

export interface Totals {
  requests: number;
  /** Percent of requests that were answered well, or null when there were none. */
  success: number | null;
  denied: number;
  /** Percent of the traffic that is encrypted and authenticated on both sides, or null. */
  mutualTls: number | null;
  proxies: number;
  inSync: number;
  errors: number;
  warnings: number;
}

/** Sum up a view. Connections of TCP do not count as requests. */
export function totals(view: MeshView): Totals {
  let requests = 0;
  let judged = 0;
  let good = 0;
  let denied = 0;
  let flowing = 0;
  let secured = 0;
  for (const edge of view.edges) {
    const rate = edge.requests_per_second;
    denied += edge.denied_per_second;
    flowing += rate;
    if (edge.mutual_tls) secured += rate;
    if (!isRequests(edge.protocol)) continue;
    requests += rate;
    if (edge.success_percent !== null) {
      judged += rate;
      good += (rate * edge.success_percent) / 100;
    }
  }
  const count = (severity: string) => view.findings.filter((finding) => finding.severity === severity).length;
  return {
    requests,
    success: judged > 0 ? (100 * good) / judged : null,
    denied,
    mutualTls: flowing > 0 ? (100 * secured) / flowing : null,
    proxies: view.proxies.length,
    inSync: view.proxies.filter((proxy) => proxy.connected && proxy.in_sync).length,
    errors: count("error"),
    warnings: count("warning"),
  };
}

export function isRequests(protocol: string): boolean {
  return protocol.startsWith("http") || protocol === "grpc";
}
