import { defineConfig, loadEnv } from "vite";

export default defineConfig(({ mode }) => {
  // In development the page comes from Vite and the API from a running mesh: OSM_PAGE is its address.
  const { OSM_PAGE: mesh = "http://127.0.0.1:15080" } = loadEnv(mode, ".", "OSM_");
  return {
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
  };
});
