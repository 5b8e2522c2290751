use bytes::Bytes;
use epilogue_core::Timestamp;
use epilogue_engine::clock::SystemClock;

use super::*;
use crate::config::Config;

/// A tone of so many milliseconds, as a WAV file.
fn tone(millis: u32) -> Sound {
    let rate = 16_000_u32;
    let count = rate / 1_000 * millis;
    let samples = (0..count).map(|n| if n / 40 % 2 == 0 { 8_000_i16 } else { -8_000 });
    let data: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let size = u32::try_from(data.len()).expect("short");
    let mut file = b"RIFF".to_vec();
    file.extend((36 + size).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1_u16, 1].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([rate, rate * 2].iter().flat_map(|word| word.to_le_bytes()));
    file.extend([2_u16, 16].iter().flat_map(|word| word.to_le_bytes()));
    file.extend(b"data");
    file.extend(size.to_le_bytes());
    file.extend(data);
    Sound(Bytes::from(file))
}

async fn stage(sessions_max: u32) -> (Stage, Ids) {
    stage_of(sessions_max, None).await
}

async fn stage_of(sessions_max: u32, avatars: Option<std::path::PathBuf>) -> (Stage, Ids) {
    let mut config = Config::defaults().expect("the defaults hold").media;
    config.udp_listen = "127.0.0.1:0".parse().expect("an address");
    config.turn_listen = Vec::new();
    (config.sessions_max, config.avatars) = (sessions_max, avatars);
    let clock = Arc::new(SystemClock);
    let stage = Stage::start(&config, Arc::new(Ids::seeded(7)), clock, "north".into())
        .await
        .expect("it starts");
    (stage, Ids::seeded(8))
}

fn session(ids: &Ids) -> SessionId {
    ids.session(Timestamp::from_millis(1_700_000_000_000))
}

#[tokio::test]
async fn a_session_is_shown_until_it_is_released_and_frees_its_place() {
    let (stage, ids) = stage(1).await;
    let (one, two) = (session(&ids), session(&ids));
    assert!(stage.has_avatar("default") && !stage.has_avatar("ann"));
    assert_eq!(stage.begin(one, "ann").await, Err(StageFault::NoStage));
    assert_eq!(stage.begin(one, "default").await, Ok(()));
    assert_eq!(stage.begin(one, "default").await, Ok(()), "it is shown already");
    assert_eq!(stage.begin(two, "default").await, Err(StageFault::Full));
    assert_eq!(stage.release(one).await, 1);
    assert_eq!(stage.release(one).await, 0);
    assert_eq!(stage.begin(two, "default").await, Ok(()));
}

#[tokio::test]
async fn the_default_avatar_is_coded_at_the_start_and_others_when_they_are_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let built_in =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../media/avatars/default");
    std::fs::create_dir(folder.path().join("ann")).expect("made");
    for layer in std::fs::read_dir(built_in).expect("a folder") {
        let layer = layer.expect("a file");
        std::fs::copy(layer.path(), folder.path().join("ann").join(layer.file_name()))
            .expect("copied");
    }
    let (stage, ids) = stage_of(1, Some(folder.path().to_owned())).await;
    let coded = || {
        let coded = stage.coded.lock().expect("sound");
        let mut names: Vec<_> =
            coded.iter().filter(|(_, of)| of.initialized()).map(|(name, _)| name.clone()).collect();
        names.sort();
        names
    };
    assert_eq!(coded(), ["default"]);
    stage.begin(session(&ids), "ann").await.expect("shown");
    assert_eq!(coded(), ["ann", "default"]);
}

#[tokio::test]
async fn a_sound_is_made_ready_and_said_where_somebody_is_shown() {
    let (stage, ids) = stage(1).await;
    let one = session(&ids);
    let clip = stage.prepare(tone(500)).await.expect("it can be played");
    // Coded in whole turns of the picture, after the coder's own delay.
    let lasts = clip.lasts().as_millis();
    assert!((500..=600).contains(&lasts), "{lasts} ms");
    assert_eq!(stage.say(one, &clip).await, Err(SayFault::NotShown));
    stage.begin(one, "default").await.expect("shown");
    assert_eq!(stage.say(one, &clip).await, Ok(()));
    stage.interrupt(one).await;
    let noise = stage.prepare(Sound(Bytes::from_static(b"no sound at all"))).await;
    assert!(matches!(noise, Err(SoundFault::Unplayable(_))), "{noise:?}");
}

/// The one thread there is for such work is busy, so that what is to be made ready waits for it.
#[test]
fn a_sound_holds_its_place_until_it_is_made_ready_even_if_nobody_waits_for_it() {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().max_blocking_threads(1).build().expect("a runtime");
    runtime.block_on(async {
        let (stage, _) = stage(1).await;
        let (go_on, wait) = std::sync::mpsc::channel::<()>();
        let busy = spawn_blocking(move || wait.recv());
        for places in (0..SOUNDS_AT_ONCE).rev() {
            let mut asked = stage.prepare(tone(20));
            assert!(futures::poll!(&mut asked).is_pending());
            drop(asked);
            assert_eq!(stage.sounds.available_permits(), places);
        }
        let mut late = stage.prepare(tone(20));
        assert!(futures::poll!(&mut late).is_pending(), "there is no place");
        go_on.send(()).expect("it waits");
        busy.await.expect("ran").expect("told");
        late.await.expect("it can be played");
        assert_eq!(stage.sounds.available_permits(), SOUNDS_AT_ONCE);
    });
}

#[tokio::test]
async fn an_offer_of_no_use_is_told_apart_from_a_session_that_is_not_shown() {
    let (stage, ids) = stage(1).await;
    let one = session(&ids);
    assert_eq!(stage.answer(one, "v=0").await, Err(ViewerFault::NotShown));
    stage.begin(one, "default").await.expect("shown");
    let bad = stage.answer(one, "nonsense").await;
    assert!(matches!(bad, Err(ViewerFault::BadOffer(_))), "{bad:?}");
    assert!(!stage.is_watched(one).await && !stage.hang_up(one).await);
}

/// What a browser offers that only wants to watch.
fn offer() -> String {
    let fingerprint = vec!["AB"; 32].join(":");
    let transport = format!(
        "c=IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\n\
         a=ice-options:trickle\r\na=fingerprint:sha-256 {fingerprint}\r\na=setup:actpass\r\n\
         a=recvonly\r\na=rtcp-mux\r\n"
    );
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF 96 97\r\n{transport}a=mid:0\r\na=rtpmap:96 VP8/90000\r\n\
         a=rtpmap:97 H264/90000\r\na=fmtp:97 level-asymmetry-allowed=1;packetization-mode=1;\
         profile-level-id=42e01f\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}a=mid:1\r\na=rtpmap:111 opus/48000/2\r\n\
         a=fmtp:111 minptime=10;useinbandfec=1\r\n"
    )
}

/// A server as its configuration makes it, over its real stage.
struct Server {
    router: axum::Router,
    engine: epilogue_engine::Engine,
    _lock: crate::data::DataLock,
    _folder: tempfile::TempDir,
}

impl Server {
    async fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = format!(
            "[storage]\nurl = 'sqlite:{}/epilogue.db'\n\
             [media]\nudp_listen = '127.0.0.1:0'\nturn_listen = []\npublic_host = 'media.example.test'\n\
             [[organizations]]\nid = 'o'\nname = 'O'\n\
             [[organizations.agents]]\nid = 'a'\nname = 'A'\nkind = 'avatar'\n\
             model = {{ provider = 'scripted' }}\n\
             [[organizations.kaltura_partners]]\npartner_id = 7\nagent = 'a'\n\
             admin_secret = 'literal:s'\nstatic_ks = ['development']\n",
            folder.path().display()
        );
        let file = (std::path::Path::new("epilogue.toml"), text);
        let layers = crate::config::Layers::from_text(Some(file), []).expect("TOML");
        let config = Config::checked(&layers).expect("sound");
        let assembly = crate::wiring::assemble(&config).await.expect("it is put together");
        let (router, engine) = (epilogue_api::router(&assembly.api), assembly.api.engine().clone());
        Self { router, engine, _lock: assembly.lock, _folder: folder }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String) {
        use http_body_util::BodyExt as _;
        let mut request = http::Request::post(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(axum::body::Body::from(body)).expect("a request");
        let answer = tower::ServiceExt::oneshot(self.router.clone(), request).await;
        let answer = answer.expect("the router always answers");
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.expect("whole").to_bytes();
        (status, String::from_utf8(body.to_vec()).expect("text"))
    }
}

/// What a client posts to have this recording heard.
fn form(recording: &[u8]) -> Vec<u8> {
    let head = b"--b\r\nContent-Disposition: form-data; name=\"turnId\"\r\n\r\nt\r\n--b\r\n\
        Content-Disposition: form-data; name=\"duration\"\r\n\r\n0.5\r\n--b\r\n\
        Content-Disposition: form-data; name=\"audio\"; filename=\"a.mp3\"\r\n\
        Content-Type: audio/mpeg\r\n\r\n";
    [&head[..], recording, b"\r\n--b--\r\n"].concat()
}

/// The whole way: created, initialised, watched, heard, interrupted and ended, over the real stage.
#[tokio::test]
async fn an_avatar_is_created_watched_heard_and_ended() {
    let server = Server::start().await;
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("JSON") };
    let body = br#"{"visualConfig":{"avatarId":"65d3f1a2b4c5d6e7f8091a2b"}}"#.to_vec();
    let created = server.post("/v1/avatar-session", &[("authorization", "KS development")], body);
    let (status, created) = created.await;
    assert_eq!(status, 200, "{created}");
    let created = json(&created);
    let base = format!("/v1/avatar-session/{}", created["sessionId"].as_str().expect("an id"));
    let token = format!("Bearer {}", created["token"].as_str().expect("a token"));
    let bearer = ("authorization", token.as_str());

    let (_, told) = server.post(&format!("{base}/init-client"), &[bearer], Vec::new()).await;
    let told = json(&told);
    let place = told["whepUrl"].as_str().expect("a URL").to_owned();
    let (_, place) = place.split_once("media.example.test").expect("its host");
    let place = place[place.find('/').expect("a path")..].to_owned();
    let sdp = ("content-type", "application/sdp");
    let (status, answer) = server.post(&place, &[sdp], offer().into_bytes()).await;
    assert_eq!(status, 201, "{answer}");
    assert!(answer.contains("a=candidate:") && answer.contains("a=sendonly"), "{answer}");
    assert!(answer.contains("a=ice-lite") && answer.contains("a=setup:passive"), "{answer}");
    assert_eq!(server.post(&place, &[sdp], offer().into_bytes()).await.0, 409);

    let form = form(&tone(500).0);
    let kind = ("content-type", "multipart/form-data; boundary=b");
    let said = server.post(&format!("{base}/say-audio"), &[bearer, kind], form).await;
    assert_eq!(said, (200, r#"{"success":true}"#.to_owned()));
    let text = br#"{"text":"Nobody speaks."}"#.to_vec();
    assert_eq!(server.post(&format!("{base}/say-text"), &[bearer], text).await.0, 503);
    assert_eq!(server.post(&format!("{base}/interrupt"), &[bearer], Vec::new()).await.0, 200);

    assert_eq!(server.post(&format!("{base}/end"), &[bearer], Vec::new()).await.0, 200);
    assert_eq!(server.post(&place, &[sdp], offer().into_bytes()).await.0, 404);
    assert_eq!(server.post(&format!("{base}/end"), &[bearer], Vec::new()).await.0, 410);
    assert_eq!(server.engine.stages(), 0);
}

/// "audio that is silent, huge, mislabelled or cut off": a clear status for each, and the session can end.
#[tokio::test]
async fn recordings_that_cannot_be_heard_are_refused_and_the_session_can_end() {
    let server = Server::start().await;
    let json = |text: &str| -> serde_json::Value { serde_json::from_str(text).expect("JSON") };
    let body = br#"{"visualConfig":{"avatarId":"default"}}"#.to_vec();
    let created = server.post("/v1/avatar-session", &[("authorization", "KS development")], body);
    let created = json(&created.await.1);
    let base = format!("/v1/avatar-session/{}", created["sessionId"].as_str().expect("an id"));
    let token = format!("Bearer {}", created["token"].as_str().expect("a token"));
    let headers =
        [("authorization", token.as_str()), ("content-type", "multipart/form-data; boundary=b")];
    let path = format!("{base}/say-audio");
    let told = |error: &str| format!(r#"{{"success":false,"error":"{error}"}}"#);

    let good = tone(500).0.to_vec();
    let mut silent = good.clone();
    silent[44..].fill(0);
    let cut_off = good[..good.len() / 2].to_vec();
    let mut bent = good.clone();
    bent[20..36].fill(0xff);
    for (what, recording) in [
        ("silent", silent),
        ("cut off", cut_off),
        ("bent", bent),
        ("a picture by the name of a recording", b"\x89PNG\r\n\x1a\n and more".to_vec()),
        ("a head alone", good[..44].to_vec()),
        ("a name of MP3 alone", b"ID3".to_vec()),
        ("ten megabytes of nothing", vec![0; 10 * 1024 * 1024]),
    ] {
        let answer = server.post(&path, &headers, form(&recording)).await;
        assert_eq!(answer, (400, told("audio could not be decoded")), "{what}");
    }
    let huge = server.post(&path, &headers, form(&vec![0; 10 * 1024 * 1024 + 1])).await;
    assert_eq!(huge, (413, told("Request body too large (at most 10485760 bytes)")));
    // It is a WAV by the name of an MP3: what is in it counts.
    let answer = server.post(&path, &headers, form(&good)).await;
    assert_eq!(answer, (200, r#"{"success":true}"#.to_owned()));
    assert_eq!(server.post(&format!("{base}/end"), &headers[..1], Vec::new()).await.0, 200);
    assert_eq!(server.engine.stages(), 0);
}
