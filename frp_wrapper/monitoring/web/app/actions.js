// What the reader can order, and what is said when it is done or refused.

import { del, post, tunnelPath } from "./api.js";
import { t } from "./i18n.js";
import { go, route } from "./router.js";
import { confirm } from "./ui/dialog.js";
import { toast, toastError } from "./ui/parts.js";

export async function restartTunnel(id) {
  try {
    await post(tunnelPath(id, "/restart"));
    toast({ text: t("restart.done", { name: id }) });
  } catch (error) {
    toastError(t("restart.failed", { name: id }), error);
  }
}

async function closeTunnel(id) {
  try {
    await del(tunnelPath(id));
    toast({ text: t("close.done", { name: id }) });
    if (route.peek().id === id) go("overview");
  } catch (error) {
    toastError(t("close.failed", { name: id }), error);
  }
}

/** Ask first: visitors that are connected lose their connections. */
export function askToClose(view) {
  const open = view.metrics?.open_connections ?? 0;
  confirm({
    title: t("close.title", { name: view.id }),
    text: open ? t("close.text_open", { n: open }) : t("close.text"),
    action: t("close.action"),
    run: () => closeTunnel(view.id),
  });
}

/** Keep alerts quiet: of a rule, of a tunnel, of both, or all. */
export async function silence(seconds, { rule = null, tunnel_id = null } = {}) {
  try {
    await post("api/silences", { seconds, ...(rule && { rule }), ...(tunnel_id && { tunnel_id }) });
    toast({ text: t("silence.done") });
  } catch (error) {
    toastError(t("silence.failed"), error);
  }
}

export async function endSilence(id) {
  try {
    await del(`api/silences/${encodeURIComponent(id)}`);
  } catch (error) {
    toastError(t("silence.end_failed"), error);
  }
}
