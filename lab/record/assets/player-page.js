'use strict';
{
  const element = document.getElementById('player');
  const data = document.getElementById('cast').textContent;
  const player = AsciinemaPlayer.create({ data: () => data }, element, {
    fit: 'width',
    controls: true,
    preload: true,
    poster: `npt:${document.getElementById('cast').dataset.poster}`,
    idleTimeLimit: Number(document.getElementById('cast').dataset.idle) || undefined,
    terminalFontFamily: "'JetBrains Mono','DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace",
  });
  document.getElementById('marks')?.addEventListener('click', event => {
    const button = event.target.closest('button');
    if (button) {
      player.seek(Number(button.dataset.at));
      element.scrollIntoView({ block: 'nearest' });
    }
  });
  const ready = () => { document.documentElement.dataset.ready = Math.round(performance.now()); };
  player.addEventListener('ready', ready);
  // For whoever wants to steer it, a test for one.
  window.player = player;
}
