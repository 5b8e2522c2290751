// Makes a player as clients of such sessions do, for one codec and a way there, and hands over its offer. No candidates are
// waited for.
const [codec, way] = arguments;
const done = arguments[arguments.length - 1];
document.body.innerHTML = '<video id="video" autoplay playsinline></video>';
const video = document.getElementById('video');
const pc = (window.pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle', ...way }));
const stream = new MediaStream();
video.srcObject = stream;
const wanted = RTCRtpReceiver.getCapabilities('video').codecs.filter(
  ({ mimeType }) => ['video/' + codec, 'video/rtx'].includes(mimeType),
);
pc.addTransceiver('video', { direction: 'recvonly' }).setCodecPreferences(wanted);
pc.addTransceiver('audio', { direction: 'recvonly' });
pc.ontrack = ({ track }) => {
  stream.addTrack(track);
  video.play();
  if (track.kind === 'audio') {
    const audio = new AudioContext();
    const analyser = (window.analyser = audio.createAnalyser());
    analyser.fftSize = 32768;
    audio.createMediaStreamSource(new MediaStream([track])).connect(analyser);
    audio.resume();
  }
};
pc.createOffer()
  .then(async offer => {
    await pc.setLocalDescription(offer);
    done(offer.sdp);
  })
  .catch(error => done(String(error)));
