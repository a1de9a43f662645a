/** The page's style. Pictures lie on black in both schemes, as on a light box. */
export const style = `
:root{color-scheme:light dark;--page:#f6f7f8;--card:#fff;--ink:#16202a;--soft:#5a6875;--line:#dde2e7;
--accent:#1c6ea4;--box:#06080a;--compute:#1c6ea4;--copy:#c98a1b;--idle:#d5dbe1}
@media (prefers-color-scheme:dark){:root{--page:#0e1318;--card:#161d24;--ink:#e6ebf0;--soft:#97a5b3;
--line:#28323c;--accent:#6fb7e4;--compute:#4b9fd4;--copy:#d9a441;--idle:#303b46}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",
Roboto,"Helvetica Neue",Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1180px;margin:0 auto;padding:36px 24px 64px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em;font-weight:650}
h2{font-size:21px;margin:52px 0 4px;letter-spacing:-.005em;font-weight:650}
h3{font-size:15px;margin:0;font-weight:650}
.lead{color:var(--soft);margin:0 0 18px;max-width:75ch}
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(150px,1fr));gap:1px;margin:22px 0 0;
background:var(--line);border:1px solid var(--line);border-radius:8px;overflow:hidden}
.facts div{background:var(--card);padding:12px 16px}
dt{color:var(--soft);font-size:12.5px}dd{margin:0}
.facts dd{font-size:19px;white-space:nowrap;font-weight:600;font-variant-numeric:tabular-nums;line-height:1.3}
.grid{display:grid;grid-template-columns:repeat(2,minmax(0,1fr));gap:18px}
.wide{grid-column:1/-1}
figure,.card{margin:0;background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px 16px;min-width:0}
figcaption{display:flex;flex-wrap:wrap;gap:2px 10px;align-items:baseline;margin-bottom:10px}
figcaption p{margin:0;color:var(--soft);font-size:13.5px}
.box{background:var(--box);border-radius:5px;padding:8px 10px;color:#b9c4ce;font-size:11px}
.planes{display:grid;gap:0 6px;align-items:center;justify-items:stretch}
.planes .name{grid-column:1/-1;font-size:12px;color:#dfe6ec;padding:3px 0 0}
.planes .at{text-align:center;color:#8b98a4;padding-top:2px;font-variant-numeric:tabular-nums}
.picture{position:relative;display:block;margin:13px 11px}
.picture img{display:block;width:100%;height:100%;image-rendering:pixelated}
.picture span{position:absolute;line-height:1;color:#aeb9c3;font-weight:600;font-size:10px}
.picture .l{right:100%;margin-right:3px;top:50%;transform:translateY(-50%)}.picture .r{left:100%;margin-left:3px;top:50%;transform:translateY(-50%)}
.picture .t{bottom:100%;margin-bottom:2px;left:50%;transform:translateX(-50%)}.picture .b{top:100%;margin-top:2px;left:50%;transform:translateX(-50%)}
.bar{display:flex;align-items:center;gap:9px;font-size:12px;margin-top:10px;color:var(--soft);
font-variant-numeric:tabular-nums;white-space:nowrap}
.bar i{flex:1;height:9px;border-radius:2px;border:1px solid var(--line)}
.key{display:flex;flex-wrap:wrap;gap:4px 16px;font-size:12px;margin-top:10px;color:var(--soft)}
.key b{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px;vertical-align:-1px}
.glyphs .picture img{image-rendering:auto;border-radius:3px}
.glyphs svg{position:absolute;inset:0;width:100%;height:100%}
.glyphs line{stroke:#fff;stroke-width:.035;stroke-linecap:round;opacity:.95}
.glyphs input{accent-color:var(--accent);margin:0 7px 0 0;vertical-align:-2px}
.glyphs input:not(:checked)~.box svg{display:none}
.glyphs label{font-size:13px;color:var(--soft);display:inline-block;margin-bottom:9px}
.scroll{overflow-x:auto;display:flex;flex-direction:column}
.plot{flex:1;display:flex;flex-direction:column;justify-content:center;align-items:center;padding-top:18px}
.plot svg{display:block;width:100%;max-width:300px;overflow:visible}.plot .series{max-width:460px}
.plot text{fill:var(--soft);font-size:11px}.plot .axis{stroke:var(--line);fill:none}
.plot polyline{fill:none;stroke-width:1.8;stroke-linejoin:round}.plot .even{stroke:#fff;stroke-opacity:.55;stroke-dasharray:3 3}
table{border-collapse:collapse;width:100%;font-size:13.5px;font-variant-numeric:tabular-nums}
caption{text-align:left;font-weight:650;padding:0 0 7px}
caption small{font-weight:400;color:var(--soft);font-size:13px}
th,td{padding:4px 0 4px 14px;text-align:right;border-top:1px solid var(--line);white-space:nowrap}
th:first-child,td:first-child{text-align:left;padding-left:0;white-space:normal}
thead th{color:var(--soft);font-weight:500;border-top:0;font-size:12.5px}tbody th{font-weight:400}
.stack{display:flex;height:12px;border-radius:3px;overflow:hidden;margin:2px 0 0;background:var(--idle)}
.stack i{display:block;height:100%}
.pairs{display:grid;grid-template-columns:repeat(auto-fill,minmax(128px,1fr));gap:9px 18px;margin:14px 0 0}
.pairs dd{font-variant-numeric:tabular-nums;font-weight:550}
.sources{display:grid;grid-template-columns:minmax(110px,max-content) minmax(0,1fr);gap:3px 20px;margin:8px 0 0;font-size:13px}
.sources dd{overflow-wrap:anywhere;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:12px;line-height:1.65}
.warning{border-left:3px solid var(--copy);padding:2px 0 2px 12px;margin:0 0 14px;font-size:14px}
footer{margin-top:44px;color:var(--soft);font-size:13px;border-top:1px solid var(--line);padding-top:14px}
@media (max-width:860px){.grid{grid-template-columns:minmax(0,1fr)}}
@media (max-width:520px){main{padding:22px 12px 40px}h1{font-size:24px}h2{margin-top:38px}
figure,.card{padding:12px 11px}.facts{grid-template-columns:repeat(2,1fr)}.facts div{padding:9px 12px}
.facts dd{font-size:17px}.planes{column-gap:4px}.picture{margin:12px 10px}.facts div:last-child:nth-child(odd){grid-column:1/-1}.box{padding:7px 9px;font-size:10px}.sources{grid-template-columns:minmax(0,1fr);gap:0}
.sources dd{margin-bottom:7px}th,td{padding-left:9px}}
@media print{body{background:#fff}.card,figure{break-inside:avoid}}
`;
