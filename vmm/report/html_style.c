/*
 * The style sheet of the report. Colours are variables, set once for a light page and once for a dark
 * one. --c0 ... --c9 are for series; light and dark ones alternate, so that readers who see few colours
 * can tell them apart. --h1 ... --h8 are for heat, from almost the page's colour to the opposite.
 */
#include "report/html.h"

static const char colours[] =
	"<style>\n"
	":root{color-scheme:light "
	"dark;--page:#fcfcfb;--card:#fff;--text:#1d2126;--soft:#5b6470;"
	"--line:#dfe3e8;--good:#14733a;--bad:#b3261e;--warn:#8a5a00;--warnbg:#fff6e0;"
	"--c0:#0a6ebd;--c1:#d95f02;--c2:#0f8b6c;--c3:#b5479a;--c4:#c99700;--c5:#56a9dc;"
	"--c6:#6a4fb0;--c7:#8a939e;--c8:#a04a22;--c9:#cdd3da;"
	"--h1:#e8eef7;--h2:#cbdcf0;--h3:#a3c5e6;--h4:#6fa8d8;--h5:#3f88c5;--h6:#2366a8;"
	"--h7:#154782;--h8:#0a2a55}\n"
	"@media(prefers-color-scheme:dark){:root{--page:#14171b;--card:#1b1f25;--text:#"
	"e4e8ec;"
	"--soft:#9aa4b0;--line:#333a43;--good:#5ecb87;--bad:#ff8a80;--warn:#ffcc66;"
	"--warnbg:#2d2716;--c0:#5aaef0;--c1:#ff9a4d;--c2:#3fc9a0;--c3:#ea86cf;--c4:#f0cb4c;"
	"--c5:#2f7fb5;--c6:#a995f0;--c7:#808a96;--c8:#c7764d;--c9:#3f4751;"
	"--h1:#1f2a3a;--h2:#213d5c;--h3:#235480;--h4:#2a70a3;--h5:#3f90bf;--h6:#69b2d2;"
	"--h7:#a3d3e2;--h8:#e9f7f5}}\n";

static const char text[] =
	"*{box-sizing:border-box}\n"
	"body{margin:0;background:var(--page);color:var(--text);"
	"font:15px/1.5 system-ui,'DejaVu Sans',sans-serif}\n"
	"main{max-width:1180px;margin:0 auto;padding:16px}\n"
	"h1{font-size:1.5em;margin:.2em 0}h2{font-size:1.15em;margin:1.6em 0 .5em;"
	"border-bottom:1px solid var(--line);padding-bottom:.2em}\n"
	"code,pre{font:13px/1.45 ui-monospace,'DejaVu Sans Mono',monospace}\n"
	"code{overflow-wrap:anywhere}\n"
	"pre{overflow-x:auto;background:var(--card);border:1px solid var(--line);"
	"border-radius:6px;padding:8px 10px}\n"
	".badge{display:inline-block;padding:1px 10px;border-radius:10px;font-weight:600;"
	"border:1px solid}\n"
	".good{color:var(--good)}.bad{color:var(--bad)}\n"
	".warn{background:var(--warnbg);border-left:4px solid var(--warn);padding:8px 14px;"
	"margin:12px 0;border-radius:0 6px 6px 0}.warn ul{margin:0;padding-left:18px}\n"
	".note{color:var(--soft);font-size:.87em;margin:.3em 0}\n"
	".cards{display:grid;gap:10px;"
	"grid-template-columns:repeat(auto-fit,minmax(150px,1fr))}\n"
	".cards>div{background:var(--card);border:1px solid var(--line);border-radius:6px;"
	"padding:8px 12px;overflow-wrap:anywhere}\n"
	".cards b{display:block;font-size:1.08em;line-height:1.35}"
	".cards span{color:var(--soft);font-size:.87em}\n";

static const char tables_and_plots[] =
	".scroll{overflow-x:auto}\n"
	"table{border-collapse:collapse;font-variant-numeric:tabular-nums}\n"
	"th,td{padding:3px 12px 3px 0;text-align:left;vertical-align:baseline;"
	"border-bottom:1px solid var(--line)}\n"
	"thead th{color:var(--soft);font-weight:500;font-size:.9em}tbody th,.bars "
	"th{font-weight:400}\n"
	"td.n,th.n{text-align:right;white-space:nowrap}td.wide{white-space:normal;color:var(-"
	"-soft)}\n"
	".bars{width:100%;max-width:720px}.bars td:nth-child(2){width:50%}\n"
	".costs td:last-child{width:34%;min-width:90px}.costs th.n{white-space:normal}\n"
	".bar{height:12px;min-width:1px;border-radius:2px}\n"
	".columns{columns:300px;column-gap:28px}.columns table{width:100%}"
	".columns tr{break-inside:avoid}.columns th{overflow-wrap:anywhere}"
	"th small{color:var(--soft)}.bars th{min-width:4em}\n"
	"details{margin:.6em 0}summary{cursor:pointer;font-weight:600}\n"
	".plots{display:grid;gap:14px;"
	"grid-template-columns:repeat(auto-fit,minmax(min(100%,430px),1fr))}\n"
	"figure{margin:0;background:var(--card);border:1px solid "
	"var(--line);border-radius:6px;"
	"padding:10px 12px;min-width:0}\n"
	"svg{display:block;width:100%;max-width:720px;height:auto}\n"
	"svg text{font-size:12px;fill:var(--soft)}"
	".halo "
	"text{fill:var(--text);stroke:var(--card);stroke-width:4px;paint-order:stroke}\n"
	".legend{list-style:none;display:flex;flex-wrap:wrap;gap:0 14px;margin:2px 0 "
	"4px;padding:0;"
	"font-size:.87em;color:var(--soft)}\n"
	".legend i{display:inline-block;width:12px;height:12px;border-radius:2px;"
	"margin-right:5px;vertical-align:-1px}\n"
	"i.empty{background:var(--page);border:1px solid var(--line)}"
	"i.dash{height:0!important;border-top:2px dashed "
	"var(--soft);border-radius:0!important;"
	"vertical-align:4px!important}\n"
	".grid{stroke:var(--line);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}\n"
	".line{fill:none;stroke:var(--c);stroke-width:1.8;stroke-linejoin:round}\n"
	".area{fill:var(--c);stroke:var(--card);stroke-width:.6}\n"
	".limit{fill:none;stroke:var(--soft);stroke-width:1.5;stroke-dasharray:5 4}\n"
	"rect.empty{fill:var(--page)}.cells{fill:var(--c);shape-rendering:crispEdges}\n"
	".tip{fill:var(--text);opacity:0}.tip:hover{opacity:.08}\n"
	"@media(max-width:520px){svg text{font-size:15px}"
	".costs th:last-child,.costs td:last-child{display:none}"
	".bars tr{display:flex;flex-wrap:wrap;border-bottom:1px solid var(--line)}"
	".bars th{flex:1}.bars th,.bars td{border:0}"
	".bars td:nth-child(2){order:1;flex:0 0 100%;width:100%;padding-bottom:6px}}\n"
	"@media print{.tip{display:none}figure{break-inside:avoid}}\n"
	"</style>\n";

void html_style(FILE *f)
{
	fputs(colours, f);
	fputs(text, f);
	fputs(tables_and_plots, f);
}
