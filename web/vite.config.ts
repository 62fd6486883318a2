import { defineConfig } from "vite";

// In development the page comes from Vite and the API from a running mesh: OSM_PAGE is its address.
const mesh = process.env["OSM_PAGE"] ?? "http://127.0.0.1:15080";

export default defineConfig({
  build: {
    outDir: "../src/osm/dashboard/static",
    emptyOutDir: true,
    target: "es2022",
    modulePreload: { polyfill: false },
    // Everything is a file of our own origin: the Content-Security-Policy allows nothing inline.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 700,
  },
  server: {
    host: "127.0.0.1",
    proxy: { "/api": { target: mesh, changeOrigin: true, headers: { origin: mesh } } },
  },
});
