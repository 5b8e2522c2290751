// Looks and listens for half a second, and tells what there was.
const done = arguments[arguments.length - 1];
const video = document.getElementById('video');
const canvas = document.createElement('canvas');
canvas.width = canvas.height = 512;
const context = canvas.getContext('2d', { willReadFrequently: true });
// The parts of the picture where the mouth is, and the hair above the brow.
const parts = { mouth: [224, 300, 64, 44], brow: [190, 100, 130, 70] };
const snapshots = { mouth: [], brow: [] };

function snap() {
  if (video.videoWidth > 0) {
    context.drawImage(video, 0, 0, 512, 512);
    for (const name in parts) snapshots[name].push(context.getImageData(...parts[name]).data);
  }
}

// The mean difference per sample between the two pictures that differ most from the first.
function change(pictures) {
  let most = 0;
  for (const picture of pictures) {
    let sum = 0;
    for (let at = 0; at < picture.length; at++) sum += Math.abs(picture[at] - pictures[0][at]);
    most = Math.max(most, sum / picture.length);
  }
  return most;
}

(async () => {
  for (let count = 0; count < 10; count++) {
    snap();
    await new Promise(resolve => setTimeout(resolve, 50));
  }
  let loudest = 0;
  if (window.analyser) {
    const samples = new Float32Array(analyser.fftSize / 2);
    analyser.getFloatTimeDomainData(samples);
    loudest = samples.reduce((most, sample) => Math.max(most, Math.abs(sample)), 0);
  }
  const seen = { frames: 0, keyFrames: 0, lost: 0, transport: 'none' };
  (await pc.getStats()).forEach(report => {
    if (report.type === 'inbound-rtp' && report.kind === 'video') {
      seen.frames = report.framesDecoded;
      seen.keyFrames = report.keyFramesDecoded;
      seen.lost = report.packetsLost;
    }
  });
  const transport = pc.getReceivers()[0].transport;
  if (transport) seen.transport = transport.state;
  const changes = { mouth: change(snapshots.mouth), brow: change(snapshots.brow) };
  done({ ...seen, ...changes, loudest, width: video.videoWidth });
})().catch(error => done({ error: String(error) }));
