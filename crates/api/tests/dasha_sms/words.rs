//! Section 8, 5: words that are Twilio's, and messages without any.

use crate::texting::{ANN, Texting};

#[tokio::test]
async fn row_5_stop_ends_the_session_as_user_end_and_sends_nothing() {
    for word in ["STOP", " stop\n", "StopAll", "unsubscribe", "CANCEL", "end", "Quit"] {
        let texting = Texting::start().await;
        texting.texts("SM1", ANN, "Hello").await;
        texting.work().await;
        texting.texts("SM2", ANN, word).await;
        texting.work().await;
        assert_eq!(texting.twilio.bodies(), ["You said: Hello"], "{word}");
        let chats = texting.chats().await;
        assert_eq!(chats.len(), 1);
        assert_eq!(chats[0]["final_reason"], "user_end", "{word}");
        assert_eq!(texting.fixture.models.asked().len(), 1);
    }
}

#[tokio::test]
async fn row_5_stop_comes_in_its_order_and_opens_nothing() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "STOP").await;
    texting.work().await;
    assert_eq!(texting.chats().await.len(), 0);
    texting.texts("SM2", ANN, "Hello").await;
    texting.texts("SM3", ANN, "STOP").await;
    texting.texts("SM4", ANN, "Back").await;
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["You said: Hello", "You said: Back"]);
    assert_eq!(texting.chats().await.len(), 2);
}

#[tokio::test]
async fn row_5_start_and_help_are_twilios_to_answer() {
    let texting = Texting::start().await;
    for (number, word) in ["START", "unstop", "Help", "INFO"].into_iter().enumerate() {
        texting.texts(&format!("SM{number}"), ANN, word).await;
    }
    assert_eq!(texting.inbox().await, []);
}

#[tokio::test]
async fn row_5_what_twilio_says_it_took_a_message_for_counts_more_than_the_message() {
    let texting = Texting::start().await;
    texting.texts("SM1", ANN, "Hello").await;
    texting.work().await;
    let left = texting.message("SM2", ANN, "Arrêt").with("OptOutType", "STOP");
    texting.tells(&left).await;
    texting.work().await;
    assert_eq!(texting.chats().await[0]["final_reason"], "user_end");
    let back = texting.message("SM3", ANN, "JOIN").with("OptOutType", "START");
    texting.tells(&back).await;
    assert_eq!(texting.work().await, 0);
}

#[tokio::test]
async fn row_5_words_within_a_sentence_and_a_yes_are_conversation() {
    let texting = Texting::start().await;
    for (number, text) in ["Stop it", "YES", "I need help"].into_iter().enumerate() {
        texting.texts(&format!("SM{number}"), ANN, text).await;
    }
    texting.work().await;
    let said = ["You said: Stop it", "You said: YES", "You said: I need help"];
    assert_eq!(texting.twilio.bodies(), said);
}

#[tokio::test]
async fn row_1_a_message_of_pictures_alone_is_passed_over_and_one_with_text_is_answered() {
    let texting = Texting::start().await;
    let picture = |sid, text| {
        let form = texting.message(sid, ANN, text).with("NumMedia", "1");
        form.with("MediaUrl0", "https://api.twilio.com/media/1")
    };
    for form in [picture("MM1", ""), picture("MM2", " \n").without("Body")] {
        assert_eq!(texting.tells(&form).await.told(), (200, "<Response/>"));
    }
    assert_eq!(texting.inbox().await, []);
    texting.tells(&picture("MM3", "Look")).await;
    texting.work().await;
    assert_eq!(texting.twilio.bodies(), ["You said: Look"]);
}
